"""PSCI SYSTEM_SUSPEND: the exits that a VMM reads when an arm64 guest suspends itself and is woken (since v5.19).

Userspace enables KVM_CAP_ARM_SYSTEM_SUSPEND. The guest executes one HVC with the function ID in x0, an entry point in
x1 and a context in x2. KVM ends KVM_RUN with KVM_EXIT_SYSTEM_EVENT, type SUSPEND, no data, and changes no register.
Then userspace decides: it refuses by writing x0, or sets the MP state SUSPENDED. A suspended vCPU blocks in KVM_RUN
until an interrupt is pending, and exits with type WAKEUP. Source: api.rst, KVM_SYSTEM_EVENT_SUSPEND and
KVM_MP_STATE_SUSPENDED.
"""

from sysevent.abi import psci
from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.kvm_run import SYSTEM_EVENT
from sysevent.abi.mp_state import MpState
from sysevent.abi.psci import NOT_SUPPORTED, Function
from sysevent.abi.registers import arm64_x
from sysevent.contract.arm64 import (
    CAP_SUSPEND,
    CAP_SUSPEND_DOC,
    SUSPEND,
    guest_continues,
    unchanged_registers,
)
from sysevent.contract.checks import Exits, PcAt, RegisterHolds, Written
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Blocks, BufferHolds, Returns, SameReturn
from sysevent.contract.system_events import API, system_event
from sysevent.model import Level
from sysevent.scenario import ioctls
from sysevent.scenario.arm64 import (
    CONTEXT,
    ENABLE_SUSPEND,
    FACTS,
    IRQ_OFF,
    IRQ_ON,
    RAM,
    call,
    registers,
    scenario,
    vm_with_vcpus,
)
from sysevent.scenario.steps import SETTLE_MS, Entry, Ioctl, Sleep, Start, Step, Vm, Wait, run

MP_STATE_DOC = "Documentation/virt/kvm/api.rst, KVM_GET_MP_STATE, KVM_MP_STATE_SUSPENDED; 7b33a09d036f, v5.19"
EVENT_DOC = "Documentation/virt/kvm/api.rst, KVM_SYSTEM_EVENT_SUSPEND"
# Sizes of an arm64 kernel's pages, each with its own chunk sizes: exactly one is taken, where there is the capability.
PAGE_SIZES = (1 << 12, 1 << 14, 1 << 16)
# Suffix of the claim's name, width of the call in bits, function ID.
WIDTHS = (("", 32, Function.SYSTEM_SUSPEND), ("_64", 64, Function.SYSTEM_SUSPEND_64))


def suspended(*steps: Step) -> tuple[Step, ...]:
    """Return the steps: the guest asks for suspend, userspace makes its vCPU SUSPENDED; then the given ones."""
    return (
        *vm_with_vcpus(),
        ENABLE_SUSPEND,
        Entry("call", registers(*SUSPEND.registers)),
        *run("exit"),
        ioctls.set_mp_state(0, MpState.SUSPENDED, "grant"),
        *steps,
    )


# An interrupt becomes pending, and wakes the vCPU twice; then userspace makes it RUNNABLE, and the guest continues.
WAKES = scenario(
    "suspend.wakeup",
    *suspended(
        ioctls.get_mp_state(0, "mp_state granted"),
        IRQ_ON,
        *run("wakeup"),
        ioctls.get_mp_state(0, "mp_state woken"),
        *run("wakeup again"),
        IRQ_OFF,
        ioctls.set_mp_state(0, MpState.RUNNABLE, "leave"),
        *run("resumed"),
    ),
)

CLAIMS = claims(
    ExitClaim(
        "psci.suspend.denied",
        "SYSTEM_SUSPEND without KVM_CAP_ARM_SYSTEM_SUSPEND causes no event: NOT_SUPPORTED (-1) in x0.",
        asks=call("psci.suspend.denied", Function.SYSTEM_SUSPEND, 0, 0),
        gives=guest_continues(NOT_SUPPORTED),
        source=CAP_SUSPEND_DOC,
    ),
    *(
        ExitClaim(
            f"psci.suspend{width}",
            f"SYSTEM_SUSPEND, {bits}-bit call, exits as SUSPEND with no data and leaves the vCPU as it was: x0 the "
            "call, x1 the entry point, x2 the context.",
            asks=call(f"psci.suspend{width}", fid, RAM, CONTEXT, setup=(ENABLE_SUSPEND,)),
            gives=(
                *system_event(SUSPEND.event_type),
                RegisterHolds("x0", fid),
                RegisterHolds("x1", RAM),
                RegisterHolds("x2", CONTEXT),
                PcAt("call.returned", "pc"),
                *unchanged_registers(3),
            ),
            source=f"{API}; bfbab4456877, KVM: arm64: Implement PSCI SYSTEM_SUSPEND, v5.19",
            needs=(CAP_SUSPEND,),
        )
        for width, bits, fid in WIDTHS
    ),
    *(
        ExitClaim(
            f"psci.features.suspend{width}",
            f"PSCI_FEATURES reports SUSPEND{width} as not supported while KVM_CAP_ARM_SYSTEM_SUSPEND is not enabled, "
            "in the version that a guest gets by default.",
            asks=FACTS,
            gives=guest_continues(NOT_SUPPORTED, fid.fact),
            source=CAP_SUSPEND_DOC,
        )
        for width, _, fid in WIDTHS
    ),
    *(
        ExitClaim(
            f"psci.suspend.features{width}",
            f"PSCI_FEATURES reports SUSPEND{width} as supported once KVM_CAP_ARM_SYSTEM_SUSPEND is enabled.",
            asks=call(f"psci.suspend.features{width}", psci.FEATURES, fid, setup=(ENABLE_SUSPEND,)),
            gives=guest_continues(0),
            source=CAP_SUSPEND_DOC,
            needs=(CAP_SUSPEND,),
        )
        for width, _, fid in WIDTHS
    ),
    ExitClaim(
        "psci.suspend.enable",
        "KVM_ENABLE_CAP of KVM_CAP_ARM_SYSTEM_SUSPEND takes no flags: EINVAL with one, 0 without.",
        asks=scenario(
            "psci.suspend.enable",
            *vm_with_vcpus(),
            ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND, flags=1, label="with a flag"),
            ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND, label="without flags"),
        ),
        gives=(Returns("with a flag", errno=Errno.EINVAL), Returns("without flags")),
        source="Documentation/virt/kvm/api.rst, KVM_ENABLE_CAP; arch/arm64/kvm/arm.c, kvm_vm_ioctl_enable_cap",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "psci.suspend.enable.alone",
        "KVM_ENABLE_CAP of KVM_CAP_ARM_SYSTEM_SUSPEND returns 0 without memory and with it, and leaves the chunk size "
        "of KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE as it was.",
        asks=scenario(
            "psci.suspend.enable.alone",
            Vm(),
            *(
                ioctls.enable_cap(
                    "vm", Capability.ARM_EAGER_SPLIT_CHUNK_SIZE, size, label=f"chunk of {size:#x}"
                )
                for size in PAGE_SIZES
            ),
            Ioctl("vm", Request.CHECK_EXTENSION, Capability.ARM_EAGER_SPLIT_CHUNK_SIZE, label="chunk before"),
            ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND, label="enable"),
            Ioctl("vm", Request.CHECK_EXTENSION, Capability.ARM_EAGER_SPLIT_CHUNK_SIZE, label="chunk"),
            *vm_with_vcpus()[1:],
            ioctls.enable_cap("vm", Capability.ARM_SYSTEM_SUSPEND, label="again"),
            Entry("call", registers(*SUSPEND.registers)),
            *run("exit"),
        ),
        gives=(
            Returns("enable"),
            SameReturn("chunk before", "chunk"),
            Returns("again"),
            *system_event(SUSPEND.event_type),
        ),
        source="Documentation/virt/kvm/api.rst, KVM_CAP_ARM_SYSTEM_SUSPEND, KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE; "
        "arch/arm64/kvm/arm.c, kvm_vm_ioctl_enable_cap",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "psci.suspend.enable.others",
        "KVM_ENABLE_CAP of other capabilities does not enable SYSTEM_SUSPEND: NOT_SUPPORTED (-1) in x0.",
        asks=call(
            "psci.suspend.enable.others",
            Function.SYSTEM_SUSPEND,
            0,
            0,
            before_vcpus=tuple(
                # A CPU may lack MTE, and the chunk size is refused because there is memory.
                ioctls.enable_cap("vm", capability, label=capability.name)
                for capability in (
                    Capability.ARM_NISV_TO_USER,
                    Capability.ARM_MTE,
                    Capability.ARM_EAGER_SPLIT_CHUNK_SIZE,
                )
            ),
        ),
        gives=guest_continues(NOT_SUPPORTED),
        source=CAP_SUSPEND_DOC,
    ),
    # What userspace decides.
    ExitClaim(
        "suspend.refused",
        "Userspace that refuses a suspend writes x0 and lets the guest go on.",
        asks=scenario(
            "suspend.refused",
            *vm_with_vcpus(),
            ENABLE_SUSPEND,
            Entry("call", registers(*SUSPEND.registers)),
            *run("exit"),
            ioctls.set_one_reg(0, arm64_x(0), psci.DENIED),
            *run("resumed"),
        ),
        gives=(Exits(ExitReason.SYSTEM_EVENT), *guest_continues(psci.DENIED, "resumed")),
        source=EVENT_DOC,
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "suspend.asleep",
        "A vCPU in KVM_MP_STATE_SUSPENDED blocks in KVM_RUN as long as nothing wakes it.",
        asks=scenario("suspend.asleep", *suspended(*run("asleep", milliseconds=SETTLE_MS))),
        gives=(Exits(ExitReason.SYSTEM_EVENT), Returns("grant"), Blocks("asleep")),
        source=MP_STATE_DOC,
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "suspend.wakeup",
        "A suspended vCPU with a pending interrupt exits as WAKEUP with no data, again and again, until "
        "userspace makes it RUNNABLE; then the guest goes on.",
        asks=WAKES,
        gives=(
            Returns("grant"),
            BufferHolds("mp_state granted", MpState.SUSPENDED),
            *system_event(EventType.WAKEUP, label="wakeup"),
            BufferHolds("mp_state woken", MpState.SUSPENDED),
            *system_event(EventType.WAKEUP, label="wakeup again"),
            Returns("leave"),
            *guest_continues(Function.SYSTEM_SUSPEND, "resumed"),
        ),
        source=f"{API}; {MP_STATE_DOC}",
        needs=(CAP_SUSPEND,),
    ),
    ExitClaim(
        "suspend.wakeup.written",
        "For WAKEUP the kernel writes all 136 bytes of system_event.",
        asks=WAKES,
        gives=(Exits(ExitReason.SYSTEM_EVENT, "wakeup"), Written((SYSTEM_EVENT,), "wakeup")),
        source="arch/arm64/kvm/arm.c, kvm_vcpu_suspend: memset of the whole structure",
        needs=(CAP_SUSPEND,),
        level=Level.OBSERVED,
    ),
    ExitClaim(
        "wakeup.blocked",
        "An interrupt wakes a vCPU that blocks in KVM_RUN as SUSPENDED: WAKEUP with no data.",
        # Userspace suspends the vCPU without a call of the guest. The interrupt comes while the vCPU blocks.
        asks=scenario(
            "wakeup.blocked",
            *vm_with_vcpus(),
            Entry("call", registers(Function.SYSTEM_OFF)),
            ioctls.set_mp_state(0, MpState.SUSPENDED, "suspend"),
            Start(0),
            Sleep(SETTLE_MS),
            IRQ_ON,
            Wait("wakeup"),
        ),
        gives=(Returns("suspend"), *system_event(EventType.WAKEUP, label="wakeup")),
        source=f"{API}; {MP_STATE_DOC}",
        needs=(CAP_SUSPEND,),
    ),
)


@CLAIMS.each
def test_suspend(check, claim):
    """The call exits as SUSPEND if userspace enabled that; a pending interrupt exits as WAKEUP while SUSPENDED."""
    check(claim)
