"""Building: VMMs and payloads with a cross-compiler, and kernels from their trees."""
