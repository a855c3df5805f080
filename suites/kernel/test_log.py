"""What the kernel itself says: no scenario of the other suites makes KVM warn.

A kernel can give a VMM all the right bytes and report a defect of its own at the same time, such as a WARN in the reset
of a vCPU. The VMM of this suite therefore reads the kernel's log (/dev/kmsg, Documentation/ABI/testing/dev-kmsg) and
its taint bits (Documentation/admin-guide/tainted-kernels.rst) before and after each scenario.

The claim fails for a WARN, BUG, oops, or report of UBSAN, KASAN or lockdep that has KVM in its trace: a function, file
or module of it, but not below an interrupt. Any other one is DONE, and so is every stall or lockup, because a busy
machine causes those too. A guest of QEMU does not survive a BUG or an oops, because its kernel panics then: the
scenario is MISS, with the lines in its reason. Where the log cannot be read, as on a lab machine without root, the
taint bits show that there was a warning, and not whose. DONE, too, is a warning of a known defect in the scenario that
its erratum names: docs/errata.md.

It is a promise, not only observed behaviour: userspace may set panic_on_warn, so a WARN that it can reach ends the
machine, and Documentation/process/coding-style.rst, "Do not crash the kernel", forbids one that user space can trigger.
"""

from sysevent.arches import ARCHITECTURES
from sysevent.contract.claim import claims
from sysevent.contract.log_claim import LogClaim

CLAIMS = claims(
    *(
        LogClaim(
            "kernel.log",
            arch,
            "No scenario makes KVM warn.",
            source='Documentation/process/coding-style.rst, 22 "Do not WARN lightly"; kernel/panic.c, __warn',
        )
        for arch in ARCHITECTURES
    )
)


@CLAIMS.each
def test_no_warnings(check, claim):
    """While the scenarios of all other claims ran, KVM reported no defect of its own."""
    check(claim)
