"""Ways to reach a kernel under test: QEMU, SSH and this machine, behind one protocol."""
