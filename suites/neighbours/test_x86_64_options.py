"""What VMMs turn on in a VM of x86: it must change nothing of an event.

Capabilities that QEMU and other VMMs enable, of which several add exits of their own or change how exceptions are
handled; and logs of written memory, by which a VMM migrates a guest that may reset itself meanwhile. The guest writes a
Hyper-V MSR, or triple-faults.
"""

import struct

from sysevent.abi.capabilities import Capability
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.x86_64 import MSR_EXIT_FILTER
from sysevent.contract.checks import Exits, NothingBeyond
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.contract.system_events import API, old_system_event, system_event
from sysevent.contract.terms import Need
from sysevent.contract.x86_64 import HYPERV, MSRS, TRIPLE_FAULT_DOC, guest_continues
from sysevent.scenario import ioctls
from sysevent.scenario.steps import COUNTERS_AT, Entry, Ioctl, run
from sysevent.scenario.x86_64 import COUNTERS, NO_MSR, registers, scenario, vm_with_vcpus
from sysevent.scenario.x86_64_machine import IRQCHIPS

# With their values. X86_DISABLE_EXITS: HLT and PAUSE. X2APIC_API: both its flags. Those that a kernel or processor
# lacks are refused.
CAPABILITIES = (
    (Capability.X86_DISABLE_EXITS, 0b110),
    (Capability.EXCEPTION_PAYLOAD, 1),
    (Capability.X86_TRIPLE_FAULT_EVENT, 1),
    (Capability.X2APIC_API, 0b11),
    (Capability.X86_USER_SPACE_MSR, MSR_EXIT_FILTER),
    (Capability.X86_BUS_LOCK_EXIT, 0b10),
)
# KVM_MEM_LOG_DIRTY_PAGES
LOG_DIRTY_PAGES = 1
RINGS = Need(
    "KVM_CAP_DIRTY_LOG_RING",
    None,
    Capability.DIRTY_LOG_RING.on_vm,
    requires="v5.11 and CONFIG_HAVE_KVM_DIRTY_RING=y",
)
# Bytes of a ring; the least is more than 64 entries of 16.
RING_BYTES = 4096
# The page that the guest writes to, as a byte of the log, and a bit in it. KVM may log pages that were not written.
WRITTEN_AT, WRITTEN = divmod(COUNTERS_AT >> 12, 8)


def with_capabilities(title, msr, value):
    """Return the scenario: a WRMSR in a VM with all of CAPABILITIES, and an interrupt controller in the kernel."""
    # Before the VM has a vCPU: then KVM refuses some of them.
    enable = tuple(ioctls.enable_cap("vm", cap, value, label=cap.name) for cap, value in CAPABILITIES)
    return scenario(
        f"options.caps.{title}",
        *vm_with_vcpus("wrmsr", before_vcpus=(*enable, *IRQCHIPS["full"])),
        Entry("wrmsr", registers(msr, value)),
        *run("exit"),
    )


def logged(title, msr, *, before_vcpus=()):
    """Return the scenario: the guest writes to memory that is tracked, and then the MSR."""
    eax, _, ecx, edx, *_ = registers(msr.index, msr.value)
    # struct kvm_dirty_log: slot, padding, a pointer to a bit for each page.
    log = struct.pack("<IIQ", 0, 0, 0) + bytes(8)
    return scenario(
        f"options.{title}.{msr.title}",
        *vm_with_vcpus("wrmsr", before_vcpus=before_vcpus, memory_flags=LOG_DIRTY_PAGES),
        # Alone, the vCPU waits for no other one.
        Entry("wrmsr", (eax, COUNTERS, ecx, edx, 1), symbol="at_once"),
        *run("exit"),
        # With rings there is no log, and the ioctl is refused.
        Ioctl("vm", Request.GET_DIRTY_LOG, buffer=log, pointer=(8, 16), label="log"),
        *run("again"),
    )


RING = (ioctls.enable_cap("vm", Capability.DIRTY_LOG_RING, RING_BYTES),)
# End of the claim's name, the option in words, further arguments of logged(), more checks, needs.
LOGS = (
    (
        "dirty_log",
        "a log of written pages (KVM_MEM_LOG_DIRTY_PAGES)",
        (),
        (Returns("log"), BufferHolds("log", 1 << WRITTEN, 16 + WRITTEN_AT, 1)),
        (HYPERV,),
    ),
    ("dirty_ring", "rings of written pages (KVM_CAP_DIRTY_LOG_RING)", RING, (), (HYPERV, RINGS)),
)

CLAIMS = claims(
    *(
        ExitClaim(
            f"options.caps.{msr.title}",
            f"In a VM with the capabilities that VMMs enable, {msr.words} exits as {msr.event_name} with no data.",
            asks=with_capabilities(msr.title, msr.index, msr.value),
            gives=system_event(msr.event_type),
            before_5_18=old_system_event(msr.event_type),
            source=API,
            needs=(HYPERV,),
            abi="x86_64",
        )
        for msr in MSRS
    ),
    ExitClaim(
        "options.caps.triple_fault",
        "In a VM with the capabilities that VMMs enable, a triple fault exits as KVM_EXIT_SHUTDOWN.",
        asks=with_capabilities("triple_fault", NO_MSR, 0),
        gives=(Exits(ExitReason.SHUTDOWN), NothingBeyond()),
        source=TRIPLE_FAULT_DOC,
        abi="x86_64",
    ),
    *(
        ExitClaim(
            f"options.{title}.{msr.title}",
            f"With {words}, {msr.words} exits as {msr.event_name} with no data, and what the guest wrote before is "
            "logged.",
            asks=logged(title, msr, before_vcpus=before),
            gives=(*system_event(msr.event_type), *more, *guest_continues("again")),
            before_5_18=(*old_system_event(msr.event_type), *more, *guest_continues("again")),
            source=f"{API}; Documentation/virt/kvm/api.rst, KVM_GET_DIRTY_LOG",
            needs=needs,
            abi="x86_64",
        )
        for title, words, before, more, needs in LOGS
        for msr in MSRS
    ),
)


@CLAIMS.each
def test_options(check, claim):
    """What VMMs turn on does not change the event."""
    check(claim)
