"""Claims about what a VMM reads from kvm_run, and the pure functions that judge them. catalogue.py alone does I/O."""
