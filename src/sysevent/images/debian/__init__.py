"""Debian's archive: package indices, signatures and packages."""
