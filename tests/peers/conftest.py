"""A Debian mirror on this machine, for the tests of what is downloaded, and make, for those of what is compiled."""

import shutil

import pytest
from debian_mirror import make_deb, mirror, progress, settings

__all__ = ["make_deb", "mirror", "progress", "settings"]


@pytest.fixture
def make():
    """For tests that run make(1)."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed: apt-get install make")
