"""Hosts that are QEMU guests on this machine."""
