"""PSCI events of an arm64 guest that is a hypervisor itself, and of the guest of that hypervisor.

Such a vCPU has an EL2 of its own (KVM_ARM_VCPU_HAS_EL2, nested virtualization). HVC is then the way into the guest's
own hypervisor, so its PSCI conduit is SMC: of EL2, and of EL1 if the hypervisor lets its guest's SMC pass. KVM keeps
the state of both levels in one vCPU, and switches it at each exception: an event must be the same from both, and a call
that is for the guest's hypervisor must not be an event. It takes `kvm-arm.mode=nested`: the target arm64-nested.
"""

from sysevent.abi.arm64 import VCPU_HAS_EL2, VCPU_PSCI_0_2
from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import INTERNAL_FAILURE, Function
from sysevent.contract.arm64 import BY_TITLE, FINAL, GICV3, PREPARE, STOPS, SUSPEND, guest_continues
from sysevent.contract.checks import Exits, Holds, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Returns
from sysevent.contract.system_events import API, system_event
from sysevent.contract.terms import Need
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import RETURNED_MMIO, registers, scenario, vcpu_init, vm_with_vcpus
from sysevent.scenario.steps import Entry, Ioctl, run

FEATURES = VCPU_PSCI_0_2 | VCPU_HAS_EL2
EL2 = Need(
    "KVM_CAP_ARM_EL2",
    None,
    Capability.ARM_EL2.on_vm,
    requires="Linux since v6.16 with kvm-arm.mode=nested, and a CPU with FEAT_NV2 and FEAT_VHE, which QEMU emulates "
    "since 9.0 (--target arm64-nested)",
)
NEEDS = (GICV3, EL2)
# Where the hypervisor stores to in its exception vectors: guests/payloads/arm64/nested.S.
TRAPPED_MMIO = RETURNED_MMIO + 8
# PSTATE with DAIF set: EL1h, EL2h.
PSTATE = {"el1": 0x3C5, "el2": 0x3C9}
# Of the caller: the payload's label where it starts, and the one behind its SMC.
ENTRY = {"el1": "", "el2": "el2_smc"}
RETURNED = {"el1": "nested.returned", "el2": "nested.el2_returned"}
WORDS = {"el1": "of a guest's guest at EL1", "el2": "of a guest at its own EL2"}
# ESR_EL2 of HVC #0 and SMC #0 (Arm ARM, ESR_EL2): the exception class, and IL.
ESR_HVC, ESR_SMC = (ec << 26 | 1 << 25 for ec in (0x16, 0x17))
CONDUIT = "arch/arm64/kvm/handle_exit.c, handle_smc; Documentation/virt/kvm/api.rst, KVM_CAP_ARM_EL2"
FORWARD = "arch/arm64/kvm/emulate-nested.c, forward_smc_trap; Arm ARM (DDI 0487), HCR_EL2.TSC"
TO_EL2 = "arch/arm64/kvm/handle_exit.c, handle_hvc; Arm ARM (DDI 0487), HVC"


def called(name, call, symbol, *steps):
    """Return the scenario: a vCPU with an EL2 starts at this label of the payload; then these steps."""
    return scenario(
        f"nested.{name}",
        *vm_with_vcpus(payload="nested", features=FEATURES, irqchip="gicv3"),
        *call.setup,
        Entry("nested", registers(*call.registers), symbol=symbol),
        *run("exit"),
        *steps,
    )


def event(level, call):
    """Return the claim about a call that KVM gets, from EL1 or EL2."""
    after = (
        (
            *guest_continues(Function.SYSTEM_SUSPEND, "again"),
            BufferHolds("mp_state", MpState.RUNNABLE),
        )
        if call is SUSPEND
        else (Blocks("again"), Written((), "again"), BufferHolds("mp_state", MpState.STOPPED))
    )
    x0 = Function.SYSTEM_SUSPEND if call is SUSPEND else INTERNAL_FAILURE
    return ExitClaim(
        f"nested.{level}.{call.title}",
        f"PSCI {call.words} by SMC {WORDS[level]} exits with its own type and data, at that exception level.",
        asks=called(
            f"{level}.{call.title}",
            call,
            ENTRY[level],
            ioctls.get_mp_state(0, "mp_state"),
            *run("again", milliseconds=1000 if call is SUSPEND else 1),
        ),
        gives=(
            *system_event(call.event_type, *call.event_data),
            RegisterHolds("x0", x0),
            RegisterHolds("pstate", PSTATE[level]),
            PcAt(RETURNED[level], "pc"),
            *after,
        ),
        source=f"{API}; {PREPARE}; {CONDUIT}",
        needs=(*NEEDS, *call.needs),
    )


def kept(name, words, symbol, esr, source):
    """Return the claim about a call that the guest's hypervisor gets: no event, and an exception at its EL2."""
    return ExitClaim(
        f"nested.{name}",
        f"{words} is an exception of the guest's own hypervisor, and no event.",
        asks=called(name, BY_TITLE["off"], symbol),
        gives=(
            Exits(ExitReason.MMIO),
            Holds("mmio.phys_addr", TRAPPED_MMIO),
            RegisterHolds("x0", Function.SYSTEM_OFF),
            RegisterHolds("x17", esr),
        ),
        source=source,
        needs=NEEDS,
    )


CLAIMS = claims(
    *(event(level, call) for level in ENTRY for call in (*FINAL, SUSPEND)),
    kept("el2.hvc", "HVC at EL2", "el2_hvc", ESR_HVC, TO_EL2),
    kept("el1.hvc", "HVC of a guest's guest", "el1_hvc", ESR_HVC, TO_EL2),
    kept("el1.smc.trapped", "SMC that the hypervisor traps", "el1_smc_trapped", ESR_SMC, FORWARD),
    # The first event leaves the vCPU at EL1, with the guest's HCR_EL2.
    ExitClaim(
        "nested.reinit",
        "KVM_ARM_VCPU_INIT after an event of a guest's guest makes a vCPU at EL2, whose next event is its own.",
        asks=called(
            "reinit",
            BY_TITLE["reset"],
            ENTRY["el1"],
            Ioctl(0, Request.ARM_VCPU_INIT, buffer=vcpu_init(features=FEATURES), label="init"),
            ioctls.get_mp_state(0, "mp_state"),
            Entry("nested", registers(Function.SYSTEM_OFF), symbol=ENTRY["el2"]),
            *run("second"),
        ),
        gives=(
            Exits(ExitReason.SYSTEM_EVENT),
            Returns("init"),
            BufferHolds("mp_state", MpState.RUNNABLE),
            *system_event(EventType.SHUTDOWN, 0, label="second"),
            RegisterHolds("pstate", PSTATE["el2"], "second"),
        ),
        source=f"Documentation/virt/kvm/api.rst, KVM_ARM_VCPU_INIT; {STOPS}",
        needs=NEEDS,
    ),
)


@CLAIMS.each
def test_nested(check, claim):
    """An event of a hypervisor, or of its guest, goes to userspace, and nothing else does."""
    check(claim)
