"""SBI system reset (SRST): the exit that a VMM reads when a riscv64 guest shuts down or reboots.

The guest executes one ECALL with reset type in a0 and reason in a1 (ecall() in src/sysevent/scenario/riscv64.py). KVM
ends KVM_RUN with KVM_EXIT_SYSTEM_EVENT: type SHUTDOWN or RESET, ndata 1, and the reason in data[0], since v5.18
(be78aa8a38c8). Other reset types must not cause an event. Source: api.rst, KVM_EXIT_SYSTEM_EVENT;
arch/riscv/kvm/vcpu_sbi.c. Since v6.12 userspace can turn the extension off.
"""

from sysevent.abi import sbi
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.kvm_run import OLD_SYSTEM_EVENT, RUN_FLAGS, SYSTEM_EVENT
from sysevent.abi.mp_state import MpState
from sysevent.abi.sbi import EXT_SRST, INVALID_PARAM, NOT_SUPPORTED
from sysevent.contract.checks import Exits, Holds, PcAt, RegisterHolds, RegisterHoldsOneOf, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import (
    ECALL,
    ENABLE,
    REASON,
    REASONS,
    RESET_TYPES,
    SYSTEM_RESET,
    guest_continues,
)
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.riscv64 import (
    FACTS,
    call,
    ecall,
    enable,
    next_call,
    registers,
    scenario,
    vm_with_vcpus,
)
from sysevent.scenario.steps import Entry, poisoned, run

DATUM_DOC = f"{API}: data[0] is the second argument of the SBI SRST call; be78aa8a38c8, v5.18"
ENABLE_DOC = "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_set_reg_sbi_ext, v6.4"

ASKS = {
    (reset.title, reason): ecall(f"srst.{reset.title}.{reason:#x}", reset.number, reason)
    for reset in RESET_TYPES
    for reason in REASONS
}
# fmt: off
# Claim's name, type of the event, a0 and a1 of the call, what must hold.
UPPER = (
    ("srst.upper.reason", EventType.SHUTDOWN, sbi.SHUTDOWN, 0xFFFF_FFFF_0000_0001,
     "The reason is 32 bits: KVM ignores what is above them in a1."),
    ("srst.upper.type", EventType.RESET, 0x1_0000_0000 | sbi.COLD_REBOOT, 1,
     "The type is 32 bits: KVM ignores what is above them in a0."),
)
# What must hold, scenario.
NO_EVENT = (
    ("SBI SRST of reset type 3 causes no event", ecall("srst.reserved", 3, 0)),
    ("SBI SRST of a vendor reset type (0xf0000000) causes no event", ecall("srst.vendor_type", sbi.VENDOR_TYPE, 0)),
    ("Function 1 of the SRST extension, which does not exist, causes no event",
     ecall("srst.function", sbi.SHUTDOWN, 0, function=1)),
)
# fmt: on
# fmt: off
# Label, a0, a6, a7 of calls that are no reset: only type and reason have 32 bits, extension and function have 64.
REFUSED = (
    ("type 3", 3, 0, sbi.SRST),
    ("the highest type", 0xFFFF_FFFF, 0, sbi.SRST),
    ("type 3 below another half", 0x1_0000_0003, 0, sbi.SRST),
    ("function 1", sbi.SHUTDOWN, 1, sbi.SRST),
    ("a function of 33 bits", sbi.SHUTDOWN, 1 << 32, sbi.SRST),
    ("an extension of 33 bits", sbi.SHUTDOWN, 0, 1 << 32 | sbi.SRST),
    ("the extension after it", sbi.SHUTDOWN, 0, sbi.SRST + 1),
    ("the extension before it", sbi.SHUTDOWN, 0, sbi.SRST - 1),
)
# fmt: on
REFUSES = scenario(
    "srst.refused",
    *vm_with_vcpus(vcpus=2),
    ioctls.set_mp_state(1, MpState.RUNNABLE),
    *(
        step
        for number, (label, a0, function, extension) in enumerate(REFUSED)
        for step in (next_call if number else call)(
            1, a0, REASON, label, function=function, extension=extension
        )
    ),
    *(ioctls.get_mp_state(hart, f"mp_state {hart}") for hart in (0, 1)),
)


def title(asks):
    """Return a scenario's name without its architecture, which is the claim's title."""
    return asks.name.partition(".")[2]


CLAIMS = claims(
    ExitClaim(
        "srst.probe",
        "SBI's probe_extension finds SRST: 0 in a0 and 1 in a1.",
        asks=FACTS,
        gives=(
            *guest_continues("sbi.probe.srst"),
            RegisterHolds("a0", 0, "sbi.probe.srst"),
            RegisterHolds("a1", 1, "sbi.probe.srst"),
        ),
        source="RISC-V SBI specification, probe_extension; arch/riscv/kvm/vcpu_sbi_base.c",
    ),
    *(
        ExitClaim(
            f"srst.{reset.title}.{reason:#x}",
            f"SBI SRST {reset.words} with reason {reason:#x} exits as {reset.event_name}; the reason is data[0].",
            asks=ASKS[reset.title, reason],
            gives=system_event(reset.event_type, reason),
            before_5_18=old_system_event(reset.event_type, reason),
            source=DATUM_DOC,
        )
        for reset in RESET_TYPES
        for reason in REASONS
    ),
    *(
        ExitClaim(
            name,
            says,
            asks=ecall(name, a0, a1),
            gives=system_event(kind, 1),
            before_5_18=old_system_event(kind, 1),
            source=DATUM_DOC,
        )
        for name, kind, a0, a1, says in UPPER
    ),
    *(
        ExitClaim(
            title(asks),
            f"{says}: the guest goes on.",
            asks=asks,
            gives=guest_continues(),
            source="RISC-V SBI specification, SRST",
        )
        for says, asks in NO_EVENT
    ),
    *(
        ExitClaim(
            f"{title(asks)}.error",
            f"{says}, and its error is SBI_ERR_NOT_SUPPORTED (-2).",
            asks=asks,
            gives=(*guest_continues(), RegisterHolds("a0", NOT_SUPPORTED), RegisterHolds("a1", 0)),
            source="arch/riscv/kvm/vcpu_sbi_replace.c, kvm_sbi_ext_srst_handler; the SBI specification would say -3",
            level=Level.OBSERVED,
        )
        for says, asks in NO_EVENT
    ),
    *(
        ExitClaim(
            f"srst.{reset.title}.written",
            f"For SBI SRST {reset.words} the kernel writes all 136 bytes of system_event and no others.",
            asks=ASKS[reset.title, 1],
            gives=(
                Exits(ExitReason.SYSTEM_EVENT),
                Written((SYSTEM_EVENT,)),
                *(Holds(f"data[{n}]", 0) for n in range(1, 16)),
            ),
            before_5_18=(Exits(ExitReason.SYSTEM_EVENT), Written((OLD_SYSTEM_EVENT,))),
            source=f"{SYSTEM_RESET}: memset of the whole structure; api.rst promises only the first ndata items",
            level=Level.OBSERVED,
        )
        for reset in RESET_TYPES
    ),
    ExitClaim(
        "srst.refused",
        "Every call of hart 1 that is no reset causes no event, and leaves both harts RUNNABLE.",
        asks=REFUSES,
        gives=(
            *(check for label, *_ in REFUSED for check in guest_continues(label)),
            *(BufferHolds(f"mp_state {hart}", MpState.RUNNABLE) for hart in (0, 1)),
        ),
        source="RISC-V SBI specification, SRST",
    ),
    ExitClaim(
        "srst.refused.fails",
        "A call with a reserved reset type fails: SBI_ERR_NOT_SUPPORTED (-2) or SBI_ERR_INVALID_PARAM (-3) in a0.",
        asks=REFUSES,
        gives=tuple(
            RegisterHoldsOneOf("a0", (NOT_SUPPORTED, INVALID_PARAM), label)
            for label, _, function, extension in REFUSED
            if not function and extension == sbi.SRST
        ),
        source="RISC-V SBI specification, SRST, sbi_system_reset; arch/riscv/kvm/vcpu_sbi_replace.c",
    ),
    ExitClaim(
        "srst.unsupported",
        "A call of a function or an extension that does not exist gets SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        asks=REFUSES,
        gives=tuple(
            RegisterHolds("a0", NOT_SUPPORTED, label)
            for label, _, function, extension in REFUSED
            if function or extension != sbi.SRST
        ),
        source=f"RISC-V SBI specification, binary encoding: unsupported EID or FID; {ECALL}",
    ),
    ExitClaim(
        "srst.refused.error",
        "Every call of hart 1 that is no reset gets SBI_ERR_NOT_SUPPORTED (-2) in a0 and 0 in a1.",
        asks=REFUSES,
        gives=tuple(
            check
            for label, *_ in REFUSED
            for check in (RegisterHolds("a0", NOT_SUPPORTED, label), RegisterHolds("a1", 0, label))
        ),
        source=ECALL,
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "srst.registers",
        "After SBI SRST the PC is at the call, a0 is as the guest had it, and a1 too or, before v6.12, 0.",
        asks=ASKS["cold_reboot", 0xDEAD_BEEF],
        gives=(
            Exits(ExitReason.SYSTEM_EVENT),
            PcAt("call._start", "pc"),
            RegisterHolds("a0", sbi.COLD_REBOOT),
            RegisterHoldsOneOf("a1", (0xDEAD_BEEF, 0)),
        ),
        source=ECALL,
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "srst.flags",
        "riscv's KVM writes nothing into kvm_run.flags.",
        asks=ASKS["shutdown", 0],
        gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("run.flags", poisoned(RUN_FLAGS.size))),
        source="arch/riscv/kvm/vcpu.c, kvm_arch_vcpu_ioctl_run",
        level=Level.OBSERVED,
    ),
    # Userspace turns the extension off.
    ExitClaim(
        "srst.disabled",
        "SBI SRST that userspace has turned off causes no event: SBI_ERR_NOT_SUPPORTED (-2) in a0.",
        asks=ecall("srst.disabled", sbi.SHUTDOWN, 0, setup=(enable(EXT_SRST, 0),)),
        gives=(*guest_continues(), RegisterHolds("a0", NOT_SUPPORTED)),
        source=ENABLE_DOC,
        needs=(ENABLE,),
    ),
    ExitClaim(
        "srst.register",
        "The register that turns SRST off takes 0 and 1 (EINVAL for 2), and only before the first KVM_RUN (EBUSY).",
        asks=scenario(
            "srst.register",
            *vm_with_vcpus(),
            enable(EXT_SRST, 2, "two"),
            Entry("call", registers(sbi.SHUTDOWN, 0)),
            *run("exit"),
            enable(EXT_SRST, 0, "after KVM_RUN"),
        ),
        gives=(
            Returns("two", errno=Errno.EINVAL),
            Exits(ExitReason.SYSTEM_EVENT),
            Returns("after KVM_RUN", errno=Errno.EBUSY),
        ),
        source=ENABLE_DOC,
        needs=(ENABLE,),
    ),
)


@CLAIMS.each
def test_srst(check, claim):
    """The exit has the type of the event and the reason as its only datum; other calls cause no event."""
    check(claim)
