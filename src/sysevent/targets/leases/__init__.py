"""Leases: two runs never use one host at once, on this machine or in a lab."""
