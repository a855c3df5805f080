"""PSCI SYSTEM_RESET2: the exit that a VMM reads when an arm64 guest asks for a typed reset (since v5.18).

The guest executes one HVC with the function ID in x0, the reset type in x1 and a cookie in x2. KVM ends KVM_RUN with
KVM_EXIT_SYSTEM_EVENT, type RESET, and the RESET2 flag (bit 0) in data[0] (34739fd95fab), and leaves type and cookie in
x1 and x2 for userspace (9d3e7b7c82fd). Reserved types must not cause an event (Arm DEN0022). Source: api.rst,
KVM_EXIT_SYSTEM_EVENT; arch/arm64/kvm/psci.c.
"""

from sysevent.abi import psci
from sysevent.abi.events import EventType, ResetFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import OLD_SYSTEM_EVENT, SYSTEM_EVENT
from sysevent.abi.psci import INTERNAL_FAILURE, INVALID_PARAMETERS, Function
from sysevent.contract.arm64 import (
    FEATURES_DOC,
    HSR_HIGH,
    INDICATE,
    PREPARE,
    RESET2,
    guest_continues,
    unchanged_registers,
)
from sysevent.contract.checks import Exits, Holds, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.model import Level
from sysevent.scenario.arm64 import COOKIE, FACTS, call

PROPAGATE = "9d3e7b7c82fd, KVM: arm64: Really propagate PSCI SYSTEM_RESET2 arguments to userspace, v5.18"
LOW_COOKIE = COOKIE & 0xFFFF_FFFF

# fmt: off
# Suffix of the claim's name, function ID, type in the guest's x1, the call in words, and what userspace must find in x1
# and x2. Of a 32-bit call that is the lower halves. Of a 64-bit call KVM checks 32 bits of the type, and passes all 64.
RESETS = (
    ("reset2", Function.SYSTEM_RESET2, 0,
     "32-bit call, architectural type 0", 0, LOW_COOKIE),
    ("reset2.vendor", Function.SYSTEM_RESET2, psci.RESET2_VENDOR_FIRST,
     "32-bit call, first vendor type", psci.RESET2_VENDOR_FIRST, LOW_COOKIE),
    ("reset2.vendor_high", Function.SYSTEM_RESET2, psci.RESET2_VENDOR_LAST,
     "32-bit call, last vendor type", psci.RESET2_VENDOR_LAST, LOW_COOKIE),
    ("reset2.upper", Function.SYSTEM_RESET2, 0xDEAD_0000_0000_0000 | psci.RESET2_VENDOR_FIRST,
     "32-bit call with upper halves", psci.RESET2_VENDOR_FIRST, LOW_COOKIE),
    ("reset2_64", Function.SYSTEM_RESET2_64, 0,
     "64-bit call, architectural type 0", 0, COOKIE),
    ("reset2_64.vendor", Function.SYSTEM_RESET2_64, psci.RESET2_VENDOR_FIRST,
     "64-bit call, first vendor type", psci.RESET2_VENDOR_FIRST, COOKIE),
    ("reset2_64.vendor_high", Function.SYSTEM_RESET2_64, psci.RESET2_VENDOR_LAST,
     "64-bit call, last vendor type", psci.RESET2_VENDOR_LAST, COOKIE),
    ("reset2_64.upper", Function.SYSTEM_RESET2_64, 0x1_0000_0000,
     "64-bit call, type 0 with an upper half", 0x1_0000_0000, COOKIE),
)
# Suffix of the claim's name, function ID, type in the guest's x1, the call in words.
RESERVED = (
    ("reset2.reserved", Function.SYSTEM_RESET2, 1, "32-bit call, reserved type 1"),
    ("reset2.reserved_high", Function.SYSTEM_RESET2, 0x7FFF_FFFF, "32-bit call, reserved type 0x7fffffff"),
    ("reset2_64.reserved", Function.SYSTEM_RESET2_64, 1, "64-bit call, reserved type 1"),
    ("reset2_64.reserved_high", Function.SYSTEM_RESET2_64, 0x7FFF_FFFF, "64-bit call, reserved type 0x7fffffff"),
)
# fmt: on
ASKS = {name: call(f"psci.{name}", fid, kind, COOKIE) for name, fid, kind, *_ in (*RESETS, *RESERVED)}

CLAIMS = claims(
    *(
        ExitClaim(
            f"psci.{name}",
            f"PSCI SYSTEM_RESET2, {words} exits as RESET with the RESET2 flag (bit 0) in data[0].",
            asks=ASKS[name],
            gives=system_event(EventType.RESET, ResetFlag.PSCI_RESET2),
            before_5_18=old_system_event(EventType.RESET, ResetFlag.PSCI_RESET2),
            source=f"{API}; {INDICATE}",
            needs=(RESET2,),
        )
        for name, _, _, words, _, _ in RESETS
    ),
    *(
        ExitClaim(
            f"psci.{name}.arguments",
            f"After SYSTEM_RESET2, {words} userspace finds the guest's reset type in x1 and its cookie in x2, "
            "everything else as it was, and the PC behind the call.",
            asks=ASKS[name],
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                RegisterHolds("x0", INTERNAL_FAILURE),
                RegisterHolds("x1", x1),
                RegisterHolds("x2", x2),
                PcAt("call.returned", "pc"),
                *unchanged_registers(3),
            ),
            source=PROPAGATE,
            needs=(RESET2,),
        )
        for name, _, _, words, x1, x2 in RESETS
    ),
    *(
        ExitClaim(
            f"psci.{name}",
            f"PSCI SYSTEM_RESET2, {words}, causes no event: the guest goes on with INVALID_PARAMETERS (-2) in x0.",
            asks=ASKS[name],
            gives=guest_continues(INVALID_PARAMETERS),
            source="Arm DEN0022, SYSTEM_RESET2; d43583b890e7, KVM: arm64: Add support for SYSTEM_RESET2, v5.18",
            needs=(RESET2,),
        )
        for name, _, _, words in RESERVED
    ),
    ExitClaim(
        "psci.reset2.written",
        "For PSCI SYSTEM_RESET2 the kernel writes all 136 bytes of system_event, 16 before v5.18, and no others.",
        asks=ASKS["reset2"],
        gives=(
            Exits(ExitReason.SYSTEM_EVENT),
            Written((SYSTEM_EVENT,)),
            *(Holds(f"data[{n}]", 0) for n in range(1, 16)),
        ),
        before_5_18=(Exits(ExitReason.SYSTEM_EVENT), Written((OLD_SYSTEM_EVENT,))),
        source=f"{PREPARE}: memset of the whole structure; api.rst promises only the first ndata items",
        needs=(RESET2,),
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "psci.reset2.flags",
        "kvm_run.flags is 0 at SYSTEM_RESET2: none of its bits is about system events.",
        asks=ASKS["reset2"],
        gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("run.flags", 0)),
        source="Documentation/virt/kvm/api.rst, kvm_run, flags; 18f3976fdb5d, v5.19",
        needs=(HSR_HIGH, RESET2),
    ),
    *(
        ExitClaim(
            f"psci.features.{name}",
            f"PSCI_FEATURES reports {name.upper()} as supported, in the version that a guest gets by default.",
            asks=FACTS,
            gives=guest_continues(0, fid.fact),
            source=FEATURES_DOC,
            needs=(RESET2,),
        )
        for name, fid in (("reset2", Function.SYSTEM_RESET2), ("reset2_64", Function.SYSTEM_RESET2_64))
    ),
)


@CLAIMS.each
def test_reset2(check, claim):
    """The exit is RESET with the RESET2 flag, and userspace finds the guest's arguments in x1 and x2."""
    check(claim)
