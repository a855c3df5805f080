"""Integration tests of the KVM system-event ABI: what a VMM reads when its guest shuts down, resets or crashes.

Imports point down one list of packages and modules, LAYERS in tests/house/imports.py; tests/test_house.py checks them.
"""

__version__ = "0.1.0"
