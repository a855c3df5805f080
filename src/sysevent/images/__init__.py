"""What a QEMU guest boots: a kernel, its modules and an initramfs."""
