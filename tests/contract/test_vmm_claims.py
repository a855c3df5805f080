"""Which claims are about which real VMM."""

import pytest

from sysevent.contract import catalogue
from sysevent.contract.vmm_claims import family, subject


@pytest.mark.parametrize(
    ("vmm", "name"),
    [
        ("qemu-10", "qemu"),
        ("qemu-5.2", "qemu"),
        ("kvm-ioctls", "kvm_ioctls"),
        ("kvm-ioctls-0.25", "kvm_ioctls"),
        ("kvmtool=/a-1", "kvmtool"),
        ("cloud-hypervisor=/x/y", "cloud_hypervisor"),
        ("mine=/qemu-10", "mine"),
    ],
)
def test_family(vmm, name):
    assert family(vmm) == name


def test_subject():
    """Of a claim about our own VMM there is none."""
    claims = catalogue.load()
    assert subject(claims.claim("arm64.vmm.qemu.psci.off.no_shutdown")) == ("qemu", "psci.off.no_shutdown")
    assert subject(claims.claim("arm64.psci.off")) == ("", "")
