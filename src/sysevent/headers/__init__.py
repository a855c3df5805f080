"""What the structures in KVM's headers look like to each userspace ABI."""
