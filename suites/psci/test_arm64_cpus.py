"""PSCI calls about single vCPUs, which decide which of them a system event finds running.

The guest calls CPU_ON, CPU_OFF, CPU_SUSPEND and AFFINITY_INFO, one after another, and the VMM reads what each returned.
A vCPU that CPU_ON started makes the call that causes an event; one that called CPU_OFF stays off when another does.
Source: Arm DEN0022; arch/arm64/kvm/psci.c.
"""

from sysevent.abi import psci
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import (
    AFFINITY_OFF,
    AFFINITY_ON,
    ALREADY_ON,
    INTERNAL_FAILURE,
    INVALID_PARAMETERS,
    NOT_SUPPORTED,
    SUCCESS,
    Function,
)
from sysevent.contract.arm64 import guest_continues, returns
from sysevent.contract.checks import Exits, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import (
    IRQ_OFF,
    IRQ_ON,
    RAM,
    call_again,
    registers,
    scenario,
    vm_with_vcpus,
)
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import SETTLE_MS, Entry, Sleep, Start, Wait, run

SOURCE = "Arm DEN0022; arch/arm64/kvm/psci.c, {}"
# Upper halves of arguments, which a 32-bit call loses.
UPPER = 0xDEAD_0000_0000_0000
# The label `returned` of the payload, behind its HVC.
BEHIND_CALL = RAM + 4
# PSTATE of a vCPU that was reset: D, A, I, F, EL1h (arch/arm64/kvm/reset.c, VCPU_RESET_PSTATE_EL1).
RESET_PSTATE = 0x3C5

# fmt: off
# Label, registers of the call, what x0 must be: vCPU 0 calls, vCPU 1 is off, there are no others.
BEFORE = (
    ("affinity of the caller", (psci.AFFINITY_INFO, 0, 0), AFFINITY_ON),
    ("affinity of vCPU 1", (psci.AFFINITY_INFO, 1, 0), AFFINITY_OFF),
    ("affinity of vCPU 1, 64-bit", (psci.AFFINITY_INFO_64, 1, 0), AFFINITY_OFF),
    ("affinity with upper halves", (psci.AFFINITY_INFO, UPPER | 1, UPPER), AFFINITY_OFF),
    ("affinity of vCPU 2", (psci.AFFINITY_INFO, 2, 0), INVALID_PARAMETERS),
    ("affinity of level 1", (psci.AFFINITY_INFO, 1, 1), AFFINITY_ON),
    ("affinity of level 1 elsewhere", (psci.AFFINITY_INFO, 0x100, 1), INVALID_PARAMETERS),
    ("affinity of level 2", (psci.AFFINITY_INFO, 0x101, 2), AFFINITY_ON),
    ("affinity of level 3", (psci.AFFINITY_INFO, 0x1_0101, 3), AFFINITY_ON),
    ("affinity of level 4", (psci.AFFINITY_INFO, 0, 4), INVALID_PARAMETERS),
    ("on of the caller", (psci.CPU_ON, 0, RAM, 7), ALREADY_ON),
    ("on of vCPU 2", (psci.CPU_ON, 2, RAM, 7), INVALID_PARAMETERS),
    ("off still", (psci.AFFINITY_INFO, 1, 0), AFFINITY_OFF),
)
AFTER = (
    ("on again", (psci.CPU_ON, 1, 0xBAD_0000, 7), ALREADY_ON),
    ("affinity after on", (psci.AFFINITY_INFO, 1, 0), AFFINITY_ON),
)
# fmt: on


def started_by(fid, *arguments):
    """Return the scenario: vCPU 0 starts vCPU 1, which blocks in KVM_RUN, and which then calls SYSTEM_OFF.

    fid is that of CPU_ON, and the context the last of its arguments; vCPU 1 has it in x0, so it is the function that it
    calls. Before that it reports, by a store, so that the call of vCPU 0 always comes back.
    """
    first = (psci.AFFINITY_INFO, 0, 0)
    where = Configuration(vcpus=2, caller=1)
    return scenario(
        f"psci.cpu_on{'' if fid == psci.CPU_ON else '_64'}",
        *vm_with_vcpus(vcpus=2, off=(1,)),
        # Registers and a program counter that CPU_ON must reset.
        Entry("call", registers(0xBAD, 0xBAD, 0xBAD), 1, "spin"),
        Start(1),
        Entry("call", registers(*first)),
        *run("first", milliseconds=1000),
        *(step for label, arguments, _ in BEFORE for step in call_again(label, *arguments)),
        *call_again("on", fid, *arguments),
        Wait("started", 1),
        *run("exit", 1),
        ioctls.get_mp_state(0, "mp_state 0"),
        ioctls.get_mp_state(1, "mp_state 1"),
        *run("again", 0, milliseconds=SETTLE_MS),
        configuration=where,
    )


# CPU_ON of a vCPU that userspace has not entered yet: what PSCI says of it before and after.
TWICE = scenario(
    "psci.cpu_on.twice",
    *vm_with_vcpus(vcpus=2, off=(1,)),
    ioctls.get_mp_state(1, "mp_state created"),
    Entry("call", registers(psci.CPU_ON_64, 1, RAM, Function.SYSTEM_OFF)),
    *run("on"),
    ioctls.get_mp_state(1, "mp_state on"),
    *(step for label, arguments, _ in AFTER for step in call_again(label, *arguments)),
    *run("exit", 1),
)
# vCPU 1 turns itself off, which blocks its KVM_RUN, also the next one; then vCPU 0 turns the system off.
OFF = scenario(
    "psci.cpu_off",
    *vm_with_vcpus(vcpus=2),
    Entry("call", registers(psci.CPU_OFF), 1),
    *run("off", 1, milliseconds=SETTLE_MS),
    ioctls.get_mp_state(1, "mp_state off"),
    Start(1),
    Entry("call", registers(psci.AFFINITY_INFO, 1, 0)),
    *run("affinity"),
    *call_again("exit", Function.SYSTEM_OFF),
    Wait("off again", 1, 1),
    ioctls.get_mp_state(1, "mp_state 1"),
)
# CPU_SUSPEND: as WFI, until an interrupt is pending.
SUSPEND = scenario(
    "psci.cpu_suspend",
    *vm_with_vcpus(),
    Entry("call", registers(psci.CPU_SUSPEND, 0, 0, 0)),
    *run("asleep", milliseconds=SETTLE_MS),
    Start(0),
    Sleep(1),
    IRQ_ON,
    Wait("woken"),
    *call_again("pending", psci.CPU_SUSPEND_64, 0, 0, 0),
    IRQ_OFF,
    ioctls.get_mp_state(0, "mp_state"),
)
# PSCI 0.1: vCPU 0 starts vCPU 1, which turns itself off.
OLD = scenario(
    "psci_0_1.cpus",
    *vm_with_vcpus(vcpus=2, features=0, off=(1,)),
    Entry("call", registers(psci.V0_1_CPU_ON, 2, RAM, 0)),
    *run("on of vCPU 2"),
    *call_again("on of the caller", psci.V0_1_CPU_ON, 0, RAM, 0),
    *call_again("suspend", psci.V0_1_CPU_SUSPEND, 0),
    *call_again("migrate", psci.V0_1_MIGRATE, 0),
    *call_again("on", psci.V0_1_CPU_ON, 1, RAM, psci.V0_1_CPU_OFF),
    *run("off", 1, milliseconds=SETTLE_MS),
    ioctls.get_mp_state(1, "mp_state 1"),
)


def started(context):
    """Return the checks of a vCPU that CPU_ON started with this context, and of what followed its event."""
    return (
        *returns("on", SUCCESS),
        *guest_continues(context, "started"),
        # The payload needs x16 for its store.
        *(RegisterHolds(f"x{n}", 0, "started") for n in range(1, 31) if n != 16),
        RegisterHolds("sp", 0, "started"),
        RegisterHolds("pstate", RESET_PSTATE, "started"),
        RegisterHolds("x0", INTERNAL_FAILURE),
        PcAt("call.returned", "pc"),
        BufferHolds("mp_state 0", MpState.STOPPED),
        BufferHolds("mp_state 1", MpState.STOPPED),
        Blocks("again"),
        Written((), "again"),
    )


ON_NARROW = started_by(psci.CPU_ON, UPPER | 1, UPPER | BEHIND_CALL, UPPER | Function.SYSTEM_OFF)
ON_WIDE = started_by(psci.CPU_ON_64, 1, BEHIND_CALL, UPPER | Function.SYSTEM_OFF)

CLAIMS = claims(
    *(
        ExitClaim(
            f"psci.cpu_on{width}",
            "A vCPU that CPU_ON starts while its KVM_RUN blocks has the entry point and context of the call, and all "
            "other registers reset; the event that it causes is its own, and stops every vCPU.",
            asks=asks,
            gives=(*started(context), *system_event(EventType.SHUTDOWN, 0)),
            before_5_18=(*started(context), *old_system_event(EventType.SHUTDOWN, 0)),
            source=f"{API}; {SOURCE.format('kvm_psci_vcpu_on')}; arch/arm64/kvm/reset.c, kvm_reset_vcpu",
        )
        for width, asks, context in (
            ("", ON_NARROW, Function.SYSTEM_OFF),
            ("_64", ON_WIDE, UPPER | Function.SYSTEM_OFF),
        )
    ),
    ExitClaim(
        "psci.cpu_on.refused",
        "CPU_ON refuses a vCPU that is on (ALREADY_ON, -4) and one that does not exist (INVALID_PARAMETERS, -2), and "
        "AFFINITY_INFO knows which vCPU is on, at each affinity level.",
        asks=ON_NARROW,
        gives=tuple(check for label, _, x0 in BEFORE for check in returns(label, x0)),
        source=SOURCE.format("kvm_psci_vcpu_on, kvm_psci_vcpu_affinity_info"),
    ),
    ExitClaim(
        "psci.cpu_on.twice",
        "A vCPU that was created off is RUNNABLE after CPU_ON, which then is refused (ALREADY_ON, -4), also before "
        "userspace enters the vCPU; it starts at the first entry point.",
        asks=TWICE,
        gives=(
            BufferHolds("mp_state created", MpState.STOPPED),
            *returns("on", SUCCESS),
            BufferHolds("mp_state on", MpState.RUNNABLE),
            *(check for label, _, x0 in AFTER for check in returns(label, x0)),
            Exits(ExitReason.SYSTEM_EVENT),
            PcAt("call.returned", "pc"),
        ),
        source=SOURCE.format("kvm_psci_vcpu_on"),
    ),
    ExitClaim(
        "psci.cpu_off",
        "After CPU_OFF a vCPU is STOPPED and each KVM_RUN of it blocks, also when another vCPU turns the system off.",
        asks=OFF,
        gives=(
            Blocks("off"),
            Written((), "off"),
            BufferHolds("mp_state off", MpState.STOPPED),
            *returns("affinity", AFFINITY_OFF),
            Exits(ExitReason.SYSTEM_EVENT),
            Blocks("off again"),
            Written((), "off again"),
            BufferHolds("mp_state 1", MpState.STOPPED),
        ),
        source=SOURCE.format("kvm_psci_0_2_call"),
    ),
    ExitClaim(
        "psci.cpu_suspend",
        "CPU_SUSPEND blocks until an interrupt is pending, and then returns SUCCESS; the vCPU stays RUNNABLE.",
        asks=SUSPEND,
        gives=(
            Blocks("asleep"),
            Written((), "asleep"),
            BufferHolds("mp_state", MpState.RUNNABLE),
            *returns("woken", SUCCESS),
            *returns("pending", SUCCESS),
        ),
        source=SOURCE.format("kvm_psci_vcpu_suspend"),
    ),
    ExitClaim(
        "psci_0_1.cpus",
        "PSCI 0.1, of a vCPU without the feature: CPU_ON starts a vCPU that is off and refuses others with "
        "INVALID_PARAMETERS (-2), CPU_OFF blocks KVM_RUN, and the other calls are not supported.",
        asks=OLD,
        gives=(
            *returns("on of vCPU 2", INVALID_PARAMETERS),
            *returns("on of the caller", INVALID_PARAMETERS),
            *returns("suspend", NOT_SUPPORTED),
            *returns("migrate", NOT_SUPPORTED),
            *returns("on", SUCCESS),
            Blocks("off"),
            BufferHolds("mp_state 1", MpState.STOPPED),
        ),
        source=SOURCE.format("kvm_psci_0_1_call"),
    ),
)


@CLAIMS.each
def test_cpus(check, claim):
    """A guest starts, stops and suspends single vCPUs, and learns which are on."""
    check(claim)
