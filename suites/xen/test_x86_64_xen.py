"""Xen hypercalls of an x86 guest: a VMM reads the right bytes of KVM_EXIT_XEN, also one that was built for i386.

The guest executes one VMMCALL, which KVM passes to userspace (since v5.12), and finds the result of the VMM in rax.
struct kvm_xen_exit is `u32 type; union u` with u64 members: the kernel and 64-bit programs have the union at offset 8,
an i386 program at 4. KVM does not translate it (src/sysevent/headers/compat.py), so an i386 VMM uses every member
four bytes off: the erratum xen-exit-i386 (docs/errata.md). system_event had the same defect before v5.18; this one is
not repaired. Source: api.rst, KVM_EXIT_XEN; arch/x86/kvm/xen.c.
"""

import struct

from sysevent.abi import kvm_run, xen
from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits, Reads, RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.terms import Need
from sysevent.scenario.steps import KEEP, Entry, SetRunBytes, poisoned, run
from sysevent.scenario.x86_64 import BARE_CPUID, intercept_xen_hypercalls, scenario, vm_with_vcpus

POISON32 = poisoned(4)
EXIT_DOC = "Documentation/virt/kvm/api.rst, 5.35 kvm_run, KVM_EXIT_XEN"
WRITES = "arch/x86/kvm/xen.c, kvm_xen_hypercall"
COMPLETES = "arch/x86/kvm/xen.c, kvm_xen_hypercall_complete_userspace"

INTERCEPTS = Need(
    "interception of Xen hypercalls",
    None,
    "xen.intercept",
    requires="v5.12 and CONFIG_KVM_XEN (KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL)",
)

# A number that no hypercall of Xen has, so that KVM does not answer it itself.
INPUT = 0x5E01
PARAMETERS = (0x5E02_0001, 0x5E03_0002, 0x5E04_0003, 0x5E05_0004, 0x5E06_0005, 0x5E07_0006)
RESULT = 0x1122_3344_5566_7788
# By ABI: the offset of the union in struct kvm_xen_exit that a program has compiled in.
UNION_AT = {"x86_64": 8, "i386": 4}
# The members of the union for a hypercall: name, offset in the union, size.
MEMBERS = (
    ("longmode", 0, 4),
    ("cpl", 4, 4),
    ("input", 8, 8),
    ("result", 16, 8),
    *((f"params[{n}]", 24 + 8 * n, 8) for n in range(len(PARAMETERS))),
)
RESULT_OFFSET = next(offset for name, offset, _ in MEMBERS if name == "result")


def hypercall(name, *after):
    """Return the scenario: one hypercall with INPUT and PARAMETERS, which is the exit "exit"; then the steps after."""
    rbx, rcx, rdx, rsi, rdi, rbp = PARAMETERS
    return scenario(
        f"xen.{name}",
        *vm_with_vcpus("xen_hypercall", cpuid=BARE_CPUID),
        intercept_xen_hypercalls(),
        Entry("xen_hypercall", (INPUT, rbx, rcx, rdx, rsi, rdi, 0, rbp)),
        *run("exit"),
        *after,
    )


def with_result(abi):
    """Return the scenario: a VMM of this ABI writes the result where its headers have it, and the guest continues."""
    at = kvm_run.UNION[0] + UNION_AT[abi] + RESULT_OFFSET
    return hypercall(f"result.{abi}", SetRunBytes(at, struct.pack("<Q", RESULT)), *run("back", poison=KEEP))


def reads(abi, values):
    """Return the checks of what a program of this ABI reads: values, in the order of MEMBERS."""
    return (
        Reads("xen.type", 0, 4, xen.EXIT_XEN_HCALL),
        *(
            Reads(f"xen.u.hcall.{name}", UNION_AT[abi] + offset, size, value)
            for (name, offset, size), value in zip(MEMBERS, values, strict=True)
        ),
    )


# As the kernel writes them: longmode, cpl, input, result (not written), parameters.
RIGHT = (0, 0, INPUT, POISON32 << 32 | POISON32, *PARAMETERS)

CLAIMS = claims(
    ExitClaim(
        "xen.hypercall",
        "A Xen hypercall exits as KVM_EXIT_XEN; number and parameters are where 64-bit programs have them.",
        asks=hypercall("hypercall"),
        gives=(Exits(ExitReason.XEN), *reads("x86_64", RIGHT)),
        source=f"{EXIT_DOC}; {WRITES}",
        needs=(INTERCEPTS,),
    ),
    ExitClaim(
        "xen.hypercall.i386",
        "A VMM built for i386 reads number and parameters of a Xen hypercall where its headers have them.",
        asks=hypercall("hypercall"),
        gives=(Exits(ExitReason.XEN), *reads("i386", RIGHT)),
        source=f"{EXIT_DOC}; {WRITES}; struct kvm_xen_exit is 76 bytes for i386 and 80 for the kernel",
        needs=(INTERCEPTS,),
        abi="i386",
    ),
    ExitClaim(
        "xen.result",
        "What a VMM writes into xen.u.hcall.result is what the guest finds in rax.",
        asks=with_result("x86_64"),
        gives=(Exits(ExitReason.XEN), Exits(ExitReason.IO, "back"), RegisterHolds("rax", RESULT, "back")),
        source=f"{EXIT_DOC}; {COMPLETES}",
        needs=(INTERCEPTS,),
    ),
    ExitClaim(
        "xen.result.i386",
        "What a VMM built for i386 writes into xen.u.hcall.result is what the guest finds in rax.",
        asks=with_result("i386"),
        gives=(Exits(ExitReason.XEN), Exits(ExitReason.IO, "back"), RegisterHolds("rax", RESULT, "back")),
        source=f"{EXIT_DOC}; {COMPLETES}: result is read at 24 of the structure; i386 has it at 20",
        needs=(INTERCEPTS,),
        abi="i386",
    ),
)


@CLAIMS.each
def test_hypercall(check, claim):
    """Each program finds the members where its own headers have them."""
    check(claim)
