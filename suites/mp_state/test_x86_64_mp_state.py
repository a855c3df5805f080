"""KVM_SET_MP_STATE and KVM_GET_MP_STATE on x86: which states a vCPU takes, and that it does not run in all but one.

Only with a local APIC in the kernel does KVM know other states than RUNNABLE (arch/x86/kvm/x86.c,
kvm_arch_vcpu_ioctl_set_mpstate). A vCPU in one of them blocks in KVM_RUN; a signal ends the KVM_RUN, but not the state,
so that the second and the third KVM_RUN block, too.
"""

from sysevent.abi.errno import Errno
from sysevent.abi.exits import ExitReason
from sysevent.abi.mp_state import MpState
from sysevent.contract.checks import Exits, NothingBeyond, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Returns
from sysevent.contract.x86_64 import guest_continues
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.configuration import Configuration
from sysevent.scenario.steps import SETTLE_MS, Entry, Start, Wait, Watch, run
from sysevent.scenario.x86_64 import COUNTERS, scenario
from sysevent.scenario.x86_64_machine import machine

MP_STATE_DOC = (
    "Documentation/virt/kvm/api.rst, KVM_SET_MP_STATE; arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_set_mpstate"
)
# States of other architectures, and numbers that no state has.
FOREIGN = (MpState.STOPPED, 6, 7, 8, MpState.SUSPENDED, 11, 0xFFFF_FFFF)
# States that need a local APIC in the kernel.
WITH_APIC = (
    MpState.UNINITIALIZED,
    MpState.INIT_RECEIVED,
    MpState.HALTED,
    MpState.SIPI_RECEIVED,
    MpState.AP_RESET_HOLD,
)


def states(where, name="mp_state.values", listed=(MpState.RUNNABLE, *WITH_APIC, *FOREIGN)):
    """Return the scenario: each listed state is set, and read back."""
    return scenario(
        where.title(name),
        *machine(where),
        *(
            step
            for state in listed
            for step in (
                # Labelled: also if it is refused, the others are asked.
                ioctls.set_mp_state(where.caller, MpState.RUNNABLE, f"before {int(state)}"),
                ioctls.set_mp_state(where.caller, state, f"set {int(state)}"),
                ioctls.get_mp_state(where.caller, f"get {int(state)}"),
            )
        ),
        configuration=where,
    )


def sets(*taken, refused=()):
    """Return the checks that these states are taken and read back, and that those are refused and change nothing."""
    checks = []
    for state in taken:
        # A vCPU that has received SIPI begins to run, which KVM_GET_MP_STATE completes.
        read = MpState.RUNNABLE if state is MpState.SIPI_RECEIVED else state
        checks += (Returns(f"set {int(state)}"), BufferHolds(f"get {int(state)}", read))
    for state in refused:
        checks += (
            Returns(f"set {int(state)}", errno=Errno.EINVAL),
            BufferHolds(f"get {int(state)}", MpState.RUNNABLE),
        )
    return tuple(checks)


NO_APIC = Configuration()
_WITHOUT_SIPI = tuple(state for state in WITH_APIC if state is not MpState.SIPI_RECEIVED)
APIC = (Configuration(irqchip="full", vcpus=2, caller=1), Configuration(irqchip="split", vcpus=2, caller=1))

# The vCPU of each state, of one VM; vCPU 0 runs nothing.
BLOCKED = {
    "uninitialized": (1, MpState.UNINITIALIZED, "waits for INIT"),
    "init_received": (2, MpState.INIT_RECEIVED, "waits for SIPI"),
    "halted": (3, MpState.HALTED, "was made HALTED"),
    # This one executes HLT.
    "hlt": (4, MpState.HALTED, "has executed HLT"),
}
_HLT = BLOCKED["hlt"][0]
_ROUNDS = ("first", "second", "third")
_WHERE = Configuration(irqchip="full", vcpus=5)


def blocked():
    """Return the scenario: all vCPUs of BLOCKED are entered three times, then made RUNNABLE and entered once more."""
    vcpus = [vcpu for vcpu, _, _ in BLOCKED.values()]
    return scenario(
        "mp_state.blocks",
        *machine(_WHERE),
        *(Entry("wrmsr", (), vcpu, "returned") for vcpu in vcpus if vcpu != _HLT),
        Entry("wrmsr", (0, COUNTERS + 8 * _HLT), _HLT, "halt"),
        *(ioctls.set_mp_state(vcpu, state) for vcpu, state, _ in BLOCKED.values() if vcpu != _HLT),
        *(
            step
            for label in _ROUNDS
            for step in (
                *map(Start, vcpus),
                # It halts right after it has counted, once.
                *([Watch(COUNTERS + 8 * _HLT, from_zero=True)] if label == "first" else []),
                # All of them run during the first Wait.
                *(Wait(f"{label} {vcpu}", vcpu, SETTLE_MS if vcpu == vcpus[0] else 1) for vcpu in vcpus),
            )
        ),
        *(ioctls.get_mp_state(vcpu, f"mp_state {vcpu}") for vcpu in vcpus),
        *(ioctls.set_mp_state(vcpu, MpState.RUNNABLE) for vcpu in vcpus),
        *(step for vcpu in vcpus for step in run(f"last {vcpu}", vcpu)),
        configuration=_WHERE,
    )


ASKS = blocked()

CLAIMS = claims(
    ExitClaim(
        "mp_state.values",
        "Without a local APIC in the kernel a vCPU is RUNNABLE, and every other state is refused with EINVAL.",
        # SIPI_RECEIVED apart: a kernel that takes it without an APIC crashes.
        asks=states(NO_APIC, listed=(MpState.RUNNABLE, *_WITHOUT_SIPI, *FOREIGN)),
        gives=sets(MpState.RUNNABLE, refused=(*_WITHOUT_SIPI, *FOREIGN)),
        source=MP_STATE_DOC,
        abi="x86_64",
    ),
    ExitClaim(
        "mp_state.values.sipi",
        "Without a local APIC in the kernel SIPI_RECEIVED is refused with EINVAL, and the vCPU stays RUNNABLE.",
        asks=states(NO_APIC, "mp_state.values.sipi", (MpState.SIPI_RECEIVED,)),
        gives=sets(refused=(MpState.SIPI_RECEIVED,)),
        source=MP_STATE_DOC,
        abi="x86_64",
    ),
    *(
        ExitClaim(
            where.title("mp_state.values"),
            "With a local APIC in the kernel a vCPU takes every state of x86 and reads it back, and after SIPI it is "
            "RUNNABLE.",
            asks=states(where),
            gives=sets(MpState.RUNNABLE, *WITH_APIC),
            source=MP_STATE_DOC,
            abi="x86_64",
        )
        for where in APIC
    ),
    *(
        ExitClaim(
            where.title("mp_state.foreign"),
            "With a local APIC in the kernel, states of other architectures are refused with EINVAL.",
            asks=states(where),
            gives=sets(refused=FOREIGN),
            # Linux 5.10 takes every number.
            before_5_18=sets(*FOREIGN),
            source=MP_STATE_DOC,
            level=Level.OBSERVED,
            abi="x86_64",
        )
        for where in APIC
    ),
    *(
        ExitClaim(
            f"mp_state.{title}.blocks",
            f"A vCPU that {words} blocks in KVM_RUN, also in the second and the third one, until it is made RUNNABLE.",
            asks=ASKS,
            gives=(
                *(
                    check
                    for label in (f"{round_} {vcpu}" for round_ in _ROUNDS)
                    for check in (Blocks(label), Written((), label), NothingBeyond(label))
                ),
                BufferHolds(f"mp_state {vcpu}", state),
                *guest_continues(f"last {vcpu}"),
            ),
            source="Documentation/virt/kvm/api.rst, KVM_GET_MP_STATE; arch/x86/kvm/x86.c, vcpu_block",
            abi="x86_64",
        )
        for title, (vcpu, state, words) in BLOCKED.items()
    ),
    ExitClaim(
        "mp_state.hlt.exits",
        "Without a local APIC in the kernel HLT exits as KVM_EXIT_HLT, and the vCPU stays RUNNABLE.",
        asks=scenario(
            "mp_state.hlt.exits",
            *machine(NO_APIC),
            Entry("wrmsr", (0, COUNTERS), symbol="halt"),
            *run("exit"),
            ioctls.get_mp_state(0, "mp_state"),
            *run("again"),
        ),
        gives=(
            Exits(ExitReason.HLT),
            NothingBeyond(),
            BufferHolds("mp_state", MpState.RUNNABLE),
            *guest_continues("again"),
        ),
        source="Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_HLT; arch/x86/kvm/x86.c, __kvm_emulate_halt",
        abi="x86_64",
    ),
)


@CLAIMS.each
def test_mp_state(check, claim):
    """Each state is taken or refused, and a vCPU that is not RUNNABLE does not run."""
    check(claim)
