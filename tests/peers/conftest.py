"""A Debian mirror on this machine, for the tests of what is downloaded."""

from debian_mirror import make_deb, mirror, progress, settings

__all__ = ["make_deb", "mirror", "progress", "settings"]
