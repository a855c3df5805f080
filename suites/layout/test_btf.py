"""What the running kernel itself was compiled with, against its headers and the offsets that programs use."""

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
    """BTF, headers and our table agree on struct kvm_run."""
    check(claim)
