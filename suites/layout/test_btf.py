"""The running kernel's own types: struct kvm_run in its BTF must agree with its headers and the frozen offsets.

The guest boots, and /sys/kernel/btf is read in it; no payload runs. A difference would mean that the kernel writes
other bytes than programs read that were compiled with its headers.
"""

from sysevent.contract.claim import claims
from sysevent.contract.layout_checks import btf_agrees
from sysevent.contract.layout_claim import LayoutClaim, Layouts

CLAIMS = claims(
    LayoutClaim(
        "btf",
        "The running kernel's BTF, its headers and our table agree on struct kvm_run.",
        asks=Layouts.RUNNING_KERNEL,
        gives=btf_agrees,
        source="include/uapi/linux/kvm.h, struct kvm_run; Documentation/bpf/btf.rst",
    ),
)


@CLAIMS.each
def test_btf(check, claim):
    """BTF, headers and frozen offsets agree on struct kvm_run."""
    check(claim)
