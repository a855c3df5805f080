"""The tests of others for the same code, in the same guests: the kernel's selftests/kvm, and kvm-unit-tests."""
