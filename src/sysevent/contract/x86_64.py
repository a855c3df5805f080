"""What an x86 guest's Hyper-V MSRs and triple faults must lead to: arch/x86/kvm/x86.c, hyperv.c."""

from __future__ import annotations

from sysevent.contract.checks import At, Exits, NothingBeyond, Written
from sysevent.contract.claim import Claim
from sysevent.contract.common import (
    API,
    CRASH,
    EXIT_SHUTDOWN,
    RESET,
    capability,
    old_system_event,
    system_event,
)
from sysevent.model import Level

_ENTER = "arch/x86/kvm/x86.c, vcpu_enter_guest"
_EVENTS = {
    "reset": ("HV_X64_MSR_RESET", RESET, "RESET"),
    "crash": ("HV_X64_MSR_CRASH_CTL with the notify bit", CRASH, "CRASH"),
}

CLAIMS = (
    capability("x86_64"),
    *(
        Claim(
            name=f"x86_64.hyperv.{name}",
            says=f"A guest's write to {msr} exits as {exits} with no data.",
            scenario=f"x86_64.hyperv.{name}",
            level=Level.ABI,
            source=f"{API}; {_ENTER}, KVM_REQ_HV_{exits}",
            checks=system_event(number),
            before=old_system_event(number),
        )
        for name, (msr, number, exits) in _EVENTS.items()
    ),
    *(
        Claim(
            name=f"x86_64.hyperv.{name}.written",
            says=f"For {msr} the kernel writes type and ndata (before v5.18 type alone), and leaves data[] stale.",
            scenario=f"x86_64.hyperv.{name}",
            level=Level.OBSERVED,
            source=f"{_ENTER}: no memset; api.rst promises only the first ndata items",
            checks=(Exits(24), Written(((32, 40),)), At("wrmsr.returned", "rip")),
            before=(Exits(24), Written(((32, 36),)), At("wrmsr.returned", "rip")),
        )
        for name, (msr, _, _) in _EVENTS.items()
    ),
    Claim(
        name="x86_64.triple_fault",
        says="A triple fault exits as KVM_EXIT_SHUTDOWN.",
        scenario="x86_64.triple_fault",
        level=Level.ABI,
        source="Documentation/virt/kvm/api.rst, 5.35 kvm_run; arch/x86/kvm/x86.c, KVM_REQ_TRIPLE_FAULT",
        checks=(Exits(EXIT_SHUTDOWN), NothingBeyond()),
    ),
    Claim(
        name="x86_64.triple_fault.written",
        says="KVM_EXIT_SHUTDOWN writes nothing into the union.",
        scenario="x86_64.triple_fault",
        level=Level.OBSERVED,
        source=f"{_ENTER}: exit_reason alone is set",
        checks=(Exits(EXIT_SHUTDOWN), Written(())),
    ),
)
