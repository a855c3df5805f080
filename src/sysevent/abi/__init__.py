"""Numbers of the KVM ABI, each once and with its source. Nothing here does I/O."""
