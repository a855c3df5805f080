"""Builders for small kernel images and modules, and a mirror that has a kernel made of them."""

import lzma

import kernel_images
import msgspec
import pytest
from debian_mirror import build_deb, make_deb, mirror, progress, settings

from sysevent.arches import architecture
from sysevent.images.kernel import resolve

# Fixtures of debian_mirror, for the tests below this directory.
__all__ = ["make_deb", "mirror", "progress", "settings"]


@pytest.fixture
def make_module():
    """make_module(depends, machine, vermagic): an ELF file with the .modinfo of such a kernel module."""

    return kernel_images.module


@pytest.fixture
def arm64_image():
    """arm64_image(release="6.12.1"): the bytes of an arm64 Image."""
    return kernel_images.arm64_image


@pytest.fixture
def trixie(mirror, make_module):
    """The mirror with a kernel 6.12.1 for arm64: KVM is built in, and three modules depend on each other."""
    mirror.deb = build_deb(
        {
            "boot/vmlinuz-6.12.1+deb13-cloud-arm64": kernel_images.arm64_image("6.12.1+deb13-cloud-arm64"),
            "usr/lib/modules/6.12.1/kernel/virtio_console.ko.xz": lzma.compress(
                make_module("virtio,virtio_ring")
            ),
            "usr/lib/modules/6.12.1/kernel/virtio.ko.xz": lzma.compress(make_module("virtio_ring")),
            "usr/lib/modules/6.12.1/kernel/virtio-ring.ko.xz": lzma.compress(make_module()),
        }
    )
    mirror.add("trixie", "arm64", [("linux-image-6.12.1+deb13-cloud-arm64", "6.12.1-1", mirror.deb)])
    return mirror


@pytest.fixture
def find(settings, progress):
    """find(spec, arch, **changes): resolve.find() with the test's settings, some of them changed."""

    def find(spec="debian:6.12", arch="arm64", **changes):
        return resolve.find(spec, architecture(arch), msgspec.structs.replace(settings, **changes), progress)

    return find
