"""Targets: TOML files to typed rows, their selection, and leases of shared machines."""
