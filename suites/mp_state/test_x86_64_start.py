"""How a vCPU of x86 starts in the state SIPI_RECEIVED, and what keeps it from doing so.

KVM_SET_MP_STATE with SIPI_RECEIVED is how a migrated CPU gets a SIPI that was on its way; its vector comes by
KVM_SET_VCPU_EVENTS.
"""

from sysevent.abi.errno import Errno
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import AllOrNone, Blocks, BufferHolds, RefusedThere, Returns
from sysevent.contract.x86_64 import SMM, guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import SETTLE_MS, Entry, Memory, Write, run
from sysevent.scenario.x86_64 import scenario
from sysevent.scenario.x86_64_machine import machine
from sysevent.scenario.x86_64_state import OUT, SMM_MEMORY, set_events

WHERE = Configuration(irqchip="full", vcpus=2, caller=1)
THREE = Configuration(irqchip="full", vcpus=3)
SET_DOC = (
    "Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE; arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_set_mpstate"
)
# The page on which the CPU begins after SIPI.
VECTOR = 9
START = VECTOR << 12


# States that KVM refuses up to Linux 6.12 while SMM, or a pending SMI, keeps INIT and SIPI away; later ones take them.
DELAYED = (MpState.INIT_RECEIVED, MpState.SIPI_RECEIVED)
OTHERS = (MpState.UNINITIALIZED, MpState.HALTED, MpState.AP_RESET_HOLD, MpState.RUNNABLE)
# Word of the labels, vCPU.
IN_SMM, WITH_SMI = ("in SMM", 1), ("with an SMI", 2)
MASKED = scenario(
    "mp_state.masked",
    *machine(THREE),
    SMM_MEMORY,
    set_events(IN_SMM[1], smm=True),
    set_events(WITH_SMI[1], smi=True),
    *(
        step
        for word, vcpu in (IN_SMM, WITH_SMI)
        for state in (*DELAYED, *OTHERS)
        for step in (
            # Labelled: also if it is refused, the others are asked.
            ioctls.set_mp_state(vcpu, MpState.RUNNABLE, f"before {int(state)} {word}"),
            ioctls.set_mp_state(vcpu, state, f"set {int(state)} {word}"),
        )
    ),
    configuration=THREE,
)
SET = "arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_set_mpstate"
# Linux 6.12 refuses it in KVM_SET_MP_STATE, and 7.2 in KVM_RUN, so that the order of a VMM's ioctls does not matter.
NOT_IN_SMM = (
    "AMD64 Architecture Programmer's Manual, volume 2, System-Management Mode: INIT is held pending; "
    "arch/x86/kvm/lapic.c, kvm_apic_accept_events: a CPU in SMM cannot be in INIT_RECEIVED"
)
DROPPED = scenario(
    "mp_state.sipi.dropped",
    *machine(WHERE),
    Memory(START, 0x1000, 1),
    Write(START, OUT),
    set_events(1, sipi_vector=VECTOR),
    ioctls.set_mp_state(1, MpState.SIPI_RECEIVED),
    *run("exit", 1),
    # Nothing but KVM_SET_MP_STATE lets KVM look for a SIPI here: KVM_SET_REGS and KVM_GET_MP_STATE would, too.
    ioctls.set_mp_state(1, MpState.SIPI_RECEIVED, "sipi"),
    ioctls.set_mp_state(1, MpState.RUNNABLE, "runnable"),
    *run("again", 1),
    ioctls.set_mp_state(1, MpState.INIT_RECEIVED, "init"),
    *run("waits", 1, milliseconds=SETTLE_MS),
    ioctls.get_mp_state(1, "mp_state"),
    configuration=WHERE,
)
# Each state that waits for, or begins with, a SIPI, and its vCPU.
IMPOSSIBLE = tuple(zip(DELAYED, (1, 2), strict=True))
WAITS_IN_SMM = scenario(
    "mp_state.waits_in_smm",
    *machine(THREE),
    SMM_MEMORY,
    *(
        step
        for state, vcpu in IMPOSSIBLE
        for step in (
            Entry("wrmsr", (), vcpu, "returned"),
            set_events(vcpu, smm=True),
            ioctls.set_mp_state(vcpu, state, f"set {int(state)}"),
            *run(f"exit {int(state)}", vcpu, milliseconds=SETTLE_MS),
        )
    ),
    configuration=THREE,
)

CLAIMS = claims(
    ExitClaim(
        "mp_state.masked",
        "INIT_RECEIVED and SIPI_RECEIVED are both taken, or both refused with EINVAL, of a vCPU in SMM as with a "
        "pending SMI; every other state is taken.",
        asks=MASKED,
        gives=(
            AllOrNone(
                tuple(f"set {int(state)} {word}" for word, _ in (IN_SMM, WITH_SMI) for state in DELAYED),
                Errno.EINVAL,
            ),
            *(Returns(f"set {int(state)} {word}") for word, _ in (IN_SMM, WITH_SMI) for state in OTHERS),
        ),
        source=SET,
        needs=(SMM,),
        abi="x86_64",
    ),
    ExitClaim(
        "mp_state.waits_in_smm",
        "A vCPU in SMM, which holds back INIT and SIPI, never waits for SIPI: KVM_SET_MP_STATE or the next KVM_RUN "
        "is refused with EINVAL.",
        asks=WAITS_IN_SMM,
        gives=tuple(
            RefusedThere(f"set {int(state)}", f"exit {int(state)}", Errno.EINVAL) for state, _ in IMPOSSIBLE
        ),
        source=NOT_IN_SMM,
        needs=(SMM,),
        abi="x86_64",
    ),
    ExitClaim(
        "mp_state.sipi.dropped",
        "A SIPI is dropped that reaches a vCPU which does not wait for it, so that the vCPU waits after the next INIT.",
        asks=DROPPED,
        gives=(
            *guest_continues(),
            *map(Returns, ("sipi", "runnable", "init")),
            *guest_continues("again"),
            Blocks("waits"),
            BufferHolds("mp_state", MpState.INIT_RECEIVED),
        ),
        source="arch/x86/kvm/lapic.c, kvm_apic_accept_events: SIPIs are dropped if the CPU isn't in wait-for-SIPI",
        abi="x86_64",
    ),
    ExitClaim(
        "mp_state.sipi",
        "A vCPU that is put into SIPI_RECEIVED begins in real mode on the page of the SIPI's vector.",
        asks=scenario(
            "mp_state.sipi",
            *machine(WHERE),
            Memory(START, 0x1000, 1),
            Write(START, OUT),
            set_events(1, sipi_vector=VECTOR),
            ioctls.set_mp_state(1, MpState.SIPI_RECEIVED, "sipi"),
            *run("exit", 1),
            ioctls.get_mp_state(1, "mp_state"),
            configuration=WHERE,
        ),
        gives=(
            Returns("sipi"),
            *guest_continues(),
            RegisterHolds("cs.base", START),
            RegisterHolds("cs.selector", START >> 4),
            BufferHolds("mp_state", MpState.RUNNABLE),
        ),
        source=f"{SET_DOC}; arch/x86/kvm/lapic.c, kvm_apic_accept_events",
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_start(check, claim):
    """A vCPU begins where its SIPI says."""
    check(claim)
