"""Fixtures for tests with real kernels: they skip unless QEMU and the kernels are installed. Only CI downloads."""

import os
import shutil

import pytest
from system import runs

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.errors import ImageError
from sysevent.images.kernel import resolve
from sysevent.images.rootfs import userland

KERNEL = "debian:6.12"


def silent(_):
    pass


@pytest.fixture
def here():
    """Settings of this process; offline unless CI is set."""
    return settings.from_environment(offline=os.environ.get("CI", "") == "")


def require_bootable(arch, here):
    """Skip, with the remedy, unless a guest of an architecture can be booted."""
    if shutil.which(ARCHITECTURES[arch].qemu) is None:
        pytest.skip(f"{ARCHITECTURES[arch].qemu} is not installed")
    try:
        resolve.find(KERNEL, ARCHITECTURES[arch], here, silent)
    except ImageError as error:
        pytest.skip(f"sysevent images fetch --kernel {KERNEL} --arch {arch}: {error}".splitlines()[0])


@pytest.fixture
def bootable(here):
    """bootable(arch): the Architecture; skips, with the remedy, unless a guest of it can be booted."""

    def check(arch):
        require_bootable(arch, here)
        return ARCHITECTURES[arch]

    return check


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A cache with the packages of the kernel that runs.py asks, and nothing else; skips if they are not cached."""
    own = settings.from_environment(offline=os.environ.get("CI", "") == "")
    require_bootable(runs.ARCH.name, own)
    cache = tmp_path_factory.mktemp("packages") / "cache"
    runs.copy_packages(own, cache)
    return cache


@pytest.fixture
def servable(bootable, here):
    """servable(arch): like bootable, for a guest with a shell and an SSH server."""

    def check(arch):
        found = bootable(arch)
        try:
            userland.shell(found, here, silent)
            userland.server(found, here, silent)
        except ImageError as error:
            pytest.skip(f"{error}; with CI=1 in the environment these tests download what they need")
        return found

    return check


@pytest.fixture(scope="session")
def everything_cached():
    """The cache, with the kernel that faults are injected into; skips unless it can be booted here."""
    here = settings.from_environment(offline=os.environ.get("CI", "") == "")
    if shutil.which(ARCHITECTURES["arm64"].qemu) is None:
        pytest.skip(f"{ARCHITECTURES['arm64'].qemu} is not installed")
    try:
        resolve.find(KERNEL, ARCHITECTURES["arm64"], here, silent)
    except ImageError as error:
        pytest.skip(f"sysevent images fetch --kernel {KERNEL} --arch arm64: {error}".splitlines()[0])
    return here.cache
