"""Integration tests of the KVM system-event ABI: what a VMM reads when its guest goes away."""

__version__ = "0.1.0"
