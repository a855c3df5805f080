"""System events of protected VMs (pKVM): the same exits, although the host does not see the guest.

In a protected VM, KVM_CREATE_VM with KVM_VM_TYPE_ARM_PROTECTED, KVM at EL2 keeps the guest's memory and most of its
registers from the host. It forwards PSCI calls, and the host's part of KVM ends KVM_RUN as for any other VM: all bytes
of the event must be the same. What a VMM needs besides is in x1 to x3, which EL2 must copy out. Source: api.rst,
KVM_EXIT_SYSTEM_EVENT; arch/arm64/kvm/psci.c, kvm_psci_call; arch/arm64/kvm/hyp/nvhe/hyp-main.c.

It takes `kvm-arm.mode=protected`: the target arm64-protected. There each VM, protected or not, takes a second under TCG
on 7.2.
"""

from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import INTERNAL_FAILURE, INVALID_PARAMETERS, Function
from sysevent.contract.arm64 import BY_TITLE, COOKIE, FINAL, PREPARE, STOPS, guest_continues
from sysevent.contract.checks import RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds
from sysevent.contract.system_events import API, system_event
from sysevent.contract.terms import Need
from sysevent.scenario.arm64_protected import protected_call
from sysevent.scenario.steps import BLOCKED_MS, run

PROTECTED_VM = Need(
    "protected VMs",
    None,
    "protected.version",
    requires="KVM_VM_TYPE_ARM_PROTECTED, which Debian's 7.2 has and 6.12 has not, and kvm-arm.mode=protected "
    "(--target arm64-protected)",
)
# By title of the call: what userspace finds in the registers.
REGISTERS = {
    **{call.title: (RegisterHolds("x0", INTERNAL_FAILURE),) for call in FINAL},
    "reset2": (
        RegisterHolds("x0", INTERNAL_FAILURE),
        RegisterHolds("x1", 0),
        # Of a 32-bit call.
        RegisterHolds("x2", COOKIE & 0xFFFF_FFFF),
    ),
}

CLAIMS = claims(
    *(
        ExitClaim(
            f"protected.{call.title}",
            f"PSCI {call.words} of a protected VM exits with the bytes of any other VM.",
            asks=protected_call(f"protected.{call.title}", *call.registers, setup=call.setup),
            gives=(*system_event(call.event_type, *call.event_data), *REGISTERS[call.title]),
            source=f"{API}; {PREPARE}",
            needs=(PROTECTED_VM, *call.needs),
        )
        # Not SYSTEM_SUSPEND: KVM refuses its capability for a protected VM.
        for call in FINAL
    ),
    ExitClaim(
        "protected.off.again",
        "After PSCI SYSTEM_OFF every vCPU of a protected VM is stopped, and KVM_RUN blocks.",
        asks=protected_call(
            "protected.off.again",
            Function.SYSTEM_OFF,
            caller=1,
            after=(*run("caller", 1, milliseconds=BLOCKED_MS), *run("peer", 0, milliseconds=BLOCKED_MS)),
        ),
        gives=(
            *system_event(BY_TITLE["off"].event_type, 0),
            BufferHolds("mp_state", MpState.STOPPED),
            Blocks("caller"),
            Blocks("peer"),
        ),
        source=STOPS,
        needs=(PROTECTED_VM,),
    ),
    ExitClaim(
        "protected.smc.off",
        "PSCI SYSTEM_OFF by SMC of a protected VM exits as SHUTDOWN, as by HVC.",
        asks=protected_call("protected.smc.off", Function.SYSTEM_OFF, symbol="smc"),
        gives=system_event(BY_TITLE["off"].event_type, 0),
        source=f"{API}; arch/arm64/kvm/handle_exit.c, handle_smc",
        needs=(PROTECTED_VM,),
    ),
    ExitClaim(
        "protected.reset2.wrong",
        "PSCI SYSTEM_RESET2 of a protected VM with a reserved type returns INVALID_PARAMETERS, without an event.",
        asks=protected_call("protected.reset2.wrong", Function.SYSTEM_RESET2, 1, COOKIE),
        gives=guest_continues(INVALID_PARAMETERS),
        source="arch/arm64/kvm/psci.c, kvm_psci_1_x_call",
        needs=(PROTECTED_VM,),
    ),
)


@CLAIMS.each
def test_protected(check, claim):
    """A protected VM causes the events of any other VM."""
    check(claim)
