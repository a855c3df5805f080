"""Scenarios for x86-64: a guest's Xen hypercall, which KVM hands to the VMM as KVM_EXIT_XEN (v5.12).

arch/x86/kvm/xen.c: KVM_XEN_HVM_CONFIG with KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL and an MSR turns it on; neither
the MSR nor a hypercall page has to be used.
"""

from __future__ import annotations

import struct

from sysevent.abi.ioctls import Request
from sysevent.abi.xen import INTERCEPT_HCALL
from sysevent.scenario.catalog.x86_64 import BARE_CPUID, machine
from sysevent.scenario.steps import KEEP, Entry, Head, Ioctl, Scenario, Step, Vm, run

_MSR = 0x4000_0000  # where Xen's guests look for it

INPUT = 0x5E01  # no hypercall of Xen's, so that KVM answers none itself
PARAMETERS = (0x5E02_0001, 0x5E03_0002, 0x5E04_0003, 0x5E05_0004, 0x5E06_0005, 0x5E07_0006)
RESULT = 0x1122_3344_5566_7788
# Where a program finds `result` by its own headers, in kvm_run.
RESULT_AT = {"x86_64": 56, "i386": 52}


def _intercept(label: str = "") -> Ioctl:
    # struct kvm_xen_hvm_config: flags, msr, two addresses and sizes of hypercall pages, padding
    config = struct.pack("<IIQQBB30x", INTERCEPT_HCALL, _MSR, 0, 0, 0, 0)
    return Ioctl("vm", Request.SET_XEN_HVM_CONFIG, buffer=config, label=label)


def _hypercall(name: str, *after: Step) -> Scenario:
    rbx, rcx, rdx, rsi, rdi, rbp = PARAMETERS
    return Scenario(
        f"x86_64.xen.{name}",
        "x86_64",
        (
            *machine("xen_hypercall", cpuid=BARE_CPUID),
            _intercept(),
            Entry("xen_hypercall", (INPUT, rbx, rcx, rdx, rsi, rdi, 0, rbp)),
            *run("exit"),
            *after,
        ),
    )


FACTS = Scenario("x86_64.xen.facts", "x86_64", (Vm(), _intercept("xen.intercept")))

SCENARIOS = (
    FACTS,
    _hypercall("hypercall"),
    *(
        _hypercall(f"result.{abi}", Head(at, struct.pack("<Q", RESULT)), *run("back", poison=KEEP))
        for abi, at in RESULT_AT.items()
    ),
)
