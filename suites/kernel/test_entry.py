"""A guest that asks for no event, on which everything else rests: it makes one store or one OUT.

The same steps are the control of every guest (docs/verdicts.md). A guest that fails its control is ill, and all of its
claims are MISS, because that is no verdict about the kernel. There is one exception: when two guests in a row ended
their controls with one and the same system event, before anything else was asked, it is the kernel under test that
makes up events, and this claim is FAIL.
"""

from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.scenario.control import ENTRIES

REASONS = {"arm64": ExitReason.MMIO, "riscv64": ExitReason.MMIO, "x86_64": ExitReason.IO}

CLAIMS = claims(
    *(
        ExitClaim(
            "entry",
            "A guest that asks for no event gets none: KVM_RUN returns with the exit that the guest caused.",
            asks=entry,
            gives=(Exits(REASONS[arch]),),
            source="Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_SYSTEM_EVENT: the guest has caused it",
        )
        for arch, entry in ENTRIES.items()
    )
)


@CLAIMS.each
def test_entry(check, claim):
    """The exit of a guest that does nothing else is not an event."""
    check(claim)
