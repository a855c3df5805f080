"""Kernels to boot: from Debian's packages, from files and from built trees."""
