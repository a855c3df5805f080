"""Initramfs archives and the programs in them."""
