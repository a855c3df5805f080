"""PSCI SYSTEM_OFF and SYSTEM_RESET: the exit that a VMM reads when an arm64 guest turns itself off or restarts.

The guest executes one HVC with the function ID in x0 (call() in src/sysevent/scenario/arm64.py). KVM ends KVM_RUN with
KVM_EXIT_SYSTEM_EVENT: type SHUTDOWN or RESET, then since v5.18 (d495f942f40a) ndata 1 and data[0] 0, before flags 0.
Source: api.rst, KVM_EXIT_SYSTEM_EVENT; arch/arm64/kvm/psci.c, kvm_prepare_system_event.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import OLD_SYSTEM_EVENT, SYSTEM_EVENT
from sysevent.abi.psci import INTERNAL_FAILURE, Function
from sysevent.contract.arm64 import (
    CALL,
    FEATURES_DOC,
    HSR_HIGH,
    PREPARE,
    guest_continues,
    unchanged_registers,
)
from sysevent.contract.checks import Exits, Holds, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.model import Level
from sysevent.scenario.arm64 import FACTS, call

# Suffix of the claim's name, the call in words, its function ID, the event in words, its type.
CALLS = (
    ("off", "SYSTEM_OFF", Function.SYSTEM_OFF, "SHUTDOWN", EventType.SHUTDOWN),
    ("reset", "SYSTEM_RESET", Function.SYSTEM_RESET, "RESET", EventType.RESET),
)
ASKS = {name: call(f"psci.{name}", fid) for name, _, fid, _, _ in CALLS}

CLAIMS = claims(
    *(
        ExitClaim(
            f"psci.{name}",
            f"PSCI {words} exits as {exits} with one datum, no flag set.",
            asks=ASKS[name],
            gives=system_event(kind, 0),
            before_5_18=old_system_event(kind, 0),
            source=f"{API}; {PREPARE}",
        )
        for name, words, _, exits, kind in CALLS
    ),
    *(
        ExitClaim(
            f"psci.{name}.registers",
            f"After {words} x0 holds INTERNAL_FAILURE (-6), in case the guest is resumed; the PC is past the call, and "
            "nothing from x4 up has changed.",
            asks=ASKS[name],
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                RegisterHolds("x0", INTERNAL_FAILURE),
                PcAt("call.returned", "pc"),
                *unchanged_registers(4),
            ),
            source=f"{CALL}: preloaded for a userspace that resumes the guest",
        )
        for name, words, *_ in CALLS
    ),
    *(
        ExitClaim(
            f"psci.{name}.zeroed",
            f"After {words} x1, x2 and x3 are zero.",
            asks=ASKS[name],
            gives=(Exits(ExitReason.SYSTEM_EVENT), *(RegisterHolds(f"x{n}", 0) for n in (1, 2, 3))),
            source=f"{CALL}: smccc_set_retval",
            level=Level.OBSERVED,
        )
        for name, words, *_ in CALLS
    ),
    *(
        ExitClaim(
            f"psci.{name}.written",
            f"For PSCI {words} the kernel writes all 136 bytes of system_event, 16 before v5.18, and no others.",
            asks=ASKS[name],
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                Written((SYSTEM_EVENT,)),
                *(Holds(f"data[{n}]", 0) for n in range(1, 16)),
            ),
            before_5_18=(Exits(ExitReason.SYSTEM_EVENT), Written((OLD_SYSTEM_EVENT,))),
            source=f"{PREPARE}: memset of the whole structure; api.rst promises only the first ndata items",
            level=Level.OBSERVED,
        )
        for name, words, *_ in CALLS
    ),
    *(
        ExitClaim(
            f"psci.{name}.flags",
            f"kvm_run.flags is 0 at {words}: none of its bits is about system events.",
            asks=ASKS[name],
            gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("run.flags", 0)),
            source="Documentation/virt/kvm/api.rst, kvm_run, flags; 18f3976fdb5d, v5.19",
            needs=(HSR_HIGH,),
        )
        for name, words, *_ in CALLS
    ),
    *(
        ExitClaim(
            f"psci.features.{name}",
            f"PSCI_FEATURES reports {name.upper()} as supported, in the version that a guest gets by default.",
            asks=FACTS,
            gives=guest_continues(0, fid.fact),
            source=FEATURES_DOC,
        )
        for name, _, fid, *_ in CALLS
    ),
)


@CLAIMS.each
def test_off_and_reset(check, claim):
    """The exit is SHUTDOWN or RESET with one datum, no flag set, and the registers are as promised."""
    check(claim)
