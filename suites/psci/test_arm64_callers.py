"""PSCI calls that reach KVM in another way: by SMC, through userspace's SMCCC filter, and from a 32-bit guest.

The guest makes the call, and a VMM must read the same event as after an HVC of a 64-bit guest. A call that userspace
denies or takes over, or that a 32-bit guest may not make, must not cause an event. Sources: handle_smc (SMC is required
since v6.12); KVM_ARM_VM_SMCCC_FILTER (since v6.4); kvm_psci_check_allowed_function.
"""

from sysevent.abi.arm64 import SMCCC_FILTER_DENY, SMCCC_FILTER_FWD_TO_USER, VCPU_EL1_32BIT, VCPU_PSCI_0_2
from sysevent.abi.capabilities import Capability
from sysevent.abi.events import EventType, ResetFlag
from sysevent.abi.exits import ExitReason
from sysevent.abi.psci import CPU_ON_64, FEATURES, NOT_SUPPORTED, Function
from sysevent.contract.arm64 import INDICATE, PREPARE, RESET2, guest_continues
from sysevent.contract.checks import Exits, Holds, PcAt, RegisterHolds, RegisterHoldsOneOf
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.model import Level
from sysevent.scenario.arm64 import COOKIE, RETURNED_MMIO, call, smccc_filter

LOW = 0xFFFF_FFFF
SMC_HANDLER = "arch/arm64/kvm/handle_exit.c, handle_smc"
ALLOWED = "arch/arm64/kvm/psci.c, kvm_psci_check_allowed_function"
FILTER_DOC = "Documentation/virt/kvm/devices/vm.rst, KVM_ARM_VM_SMCCC_FILTER"

# KVM of 6.1 does not pass an SMC on to PSCI, KVM of 6.12 does. Releases between them may have it.
SMC = Need("PSCI by SMC", (6, 12), "smc.version")
FILTER = Need("SMCCC filter", (6, 4), "smccc.filter")
AARCH32 = Need(
    "32-bit EL1 (KVM_CAP_ARM_EL1_32BIT)", None, Capability.ARM_EL1_32BIT.on_vm, requires="a CPU that has it"
)


def aarch32(name, fid, argument=0):
    """Return the scenario of one call by a guest whose EL1 is 32-bit."""
    features = VCPU_PSCI_0_2 | VCPU_EL1_32BIT
    return call(f"aarch32.{name}", fid, argument, 0, features=features, payload="call_aarch32")


# A call that is refused: the guest goes on, with NOT_SUPPORTED in r0 and 0 in r1 to r3.
REFUSED = (
    Exits(ExitReason.MMIO),
    Holds("mmio.phys_addr", RETURNED_MMIO),
    RegisterHoldsOneOf("x0", (LOW, NOT_SUPPORTED)),
    *(RegisterHolds(f"x{n}", 0) for n in (1, 2, 3)),
)


SMC_CLAIMS = claims(
    ExitClaim(
        "smc.off",
        "PSCI SYSTEM_OFF by SMC causes the same event as by HVC.",
        asks=call("smc.off", Function.SYSTEM_OFF, symbol="smc"),
        gives=(*system_event(EventType.SHUTDOWN, 0), PcAt("call.smc_returned", "pc")),
        source=f"{API}; {SMC_HANDLER}",
        needs=(SMC,),
    ),
    ExitClaim(
        "smc.reset2",
        "PSCI SYSTEM_RESET2 by SMC causes the same event as by HVC.",
        asks=call("smc.reset2", Function.SYSTEM_RESET2, 0, COOKIE, symbol="smc"),
        gives=(
            *system_event(EventType.RESET, ResetFlag.PSCI_RESET2),
            RegisterHolds("x2", COOKIE & LOW),
            PcAt("call.smc_returned", "pc"),
        ),
        source=f"{API}; {SMC_HANDLER}",
        needs=(SMC,),
    ),
    ExitClaim(
        "smc.other",
        "An SMC whose immediate is not 0 is not treated as a call: the guest goes on with -1 in x0.",
        asks=call("smc.other", Function.SYSTEM_OFF, symbol="smc_other"),
        gives=guest_continues(NOT_SUPPORTED),
        source=SMC_HANDLER,
        needs=(SMC,),
        level=Level.OBSERVED,
    ),
)


@SMC_CLAIMS.each
def test_smc(check, claim):
    """A call by SMC causes the same event as by HVC."""
    check(claim)


FILTER_CLAIMS = claims(
    ExitClaim(
        "filter.deny",
        "A denied SYSTEM_OFF causes no event: the guest goes on with NOT_SUPPORTED (-1) in x0.",
        asks=call(
            "filter.deny",
            Function.SYSTEM_OFF,
            before_vcpus=(smccc_filter(Function.SYSTEM_OFF, SMCCC_FILTER_DENY),),
        ),
        gives=guest_continues(NOT_SUPPORTED),
        source=FILTER_DOC,
        needs=(FILTER,),
    ),
    ExitClaim(
        "filter.forward",
        "A forwarded SYSTEM_OFF exits as a hypercall for userspace, not as a system event.",
        asks=call(
            "filter.forward",
            Function.SYSTEM_OFF,
            before_vcpus=(smccc_filter(Function.SYSTEM_OFF, SMCCC_FILTER_FWD_TO_USER),),
        ),
        gives=(Exits(ExitReason.HYPERCALL),),
        source=FILTER_DOC,
        needs=(FILTER,),
    ),
)


@FILTER_CLAIMS.each
def test_filter(check, claim):
    """A call that userspace denies or takes over causes no system event."""
    check(claim)


AARCH32_CLAIMS = claims(
    *(
        ExitClaim(
            f"aarch32.{name}",
            f"PSCI {fid.name} of a 32-bit guest exits as {kind.name} with one datum, no flag set.",
            asks=aarch32(name, fid),
            gives=system_event(kind, 0),
            before_5_18=old_system_event(kind, 0),
            source=f"{API}; {PREPARE}",
            needs=(AARCH32,),
        )
        for name, fid, kind in (
            ("off", Function.SYSTEM_OFF, EventType.SHUTDOWN),
            ("reset", Function.SYSTEM_RESET, EventType.RESET),
        )
    ),
    ExitClaim(
        "aarch32.reset2",
        "PSCI SYSTEM_RESET2 of a 32-bit guest exits as RESET with the RESET2 flag in data[0].",
        asks=aarch32("reset2", Function.SYSTEM_RESET2),
        gives=system_event(EventType.RESET, ResetFlag.PSCI_RESET2),
        source=f"{API}; {INDICATE}",
        needs=(AARCH32, RESET2),
    ),
    *(
        ExitClaim(
            f"aarch32.{name}",
            f"A 32-bit guest may not make the 64-bit call {name.upper()}: no event, NOT_SUPPORTED (-1) in r0.",
            asks=aarch32(name, fid),
            gives=REFUSED,
            source=ALLOWED,
            needs=(AARCH32,),
        )
        for name, fid in (
            ("reset2_64", Function.SYSTEM_RESET2_64),
            ("suspend_64", Function.SYSTEM_SUSPEND_64),
            ("off2_64", Function.SYSTEM_OFF2_64),
        )
    ),
    ExitClaim(
        "aarch32.features",
        "PSCI_FEATURES tells a 32-bit guest that there is no 64-bit call: NOT_SUPPORTED (-1) in r0.",
        asks=aarch32("features", FEATURES, CPU_ON_64),
        gives=REFUSED,
        # Linux 5.10 answers for calls that the guest may not make.
        before_5_18=(Exits(ExitReason.MMIO), Holds("mmio.phys_addr", RETURNED_MMIO)),
        source=ALLOWED,
        needs=(AARCH32,),
    ),
)


@AARCH32_CLAIMS.each
def test_aarch32(check, claim):
    """A 32-bit guest can make the 32-bit calls, and not the 64-bit ones."""
    check(claim)
