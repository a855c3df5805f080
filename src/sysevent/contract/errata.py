"""Errata: known defects of kernels. A claim that fails as one of them says is DONE, not FAIL. No I/O.

A defect that is known must not hide another one. So an erratum explains a failure only if its kernel is in the range of
the erratum, and if exactly those fields are wrong, with those values, that the erratum lists. Everything else is FAIL.

docs/errata.md is made from the table: `python -m sysevent.report.errata_page > docs/errata.md`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from sysevent.contract.erratum import Erratum, Symptom
from sysevent.contract.terms import Terms
from sysevent.model import Facts, Status, Verdict

# The first words of the reason of a verdict that an erratum explains.
KNOWN = "Known defect"

_SVM = {"vendor": "amd"}
_SHUTDOWN = "arch/x86/kvm/svm/svm.c, shutdown_interception"
# a2620f8932fa.
_LEAVES_SMM = ((6, 6, 92), (6, 12, 29), (6, 15))
# Of KVM_RUN after the reset, whatever time it is given.
_NEVER_AGAIN_BYTES = """\
again: exit_reason: got none within 0.5 s: the watchdog ended KVM_RUN, expected 2 (IO)
kvm_run at 'again', poison aa, errno 4 (EINTR), rip 0xfff0, cs.base 0xffff0000, cr0 0x60000010:
  0  00 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00
                             ^^ ^^ ^^ ^^
 32  aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa"""
_NEVER_AGAIN = Symptom("again: exit_reason", "none within * s: the watchdog ended KVM_RUN")
_XEN_SOURCE = (
    "struct kvm_xen_exit is u32 type; union u, with u64 members, so that u is at 4 for i386 and at 8 for the kernel; "
    "arch/x86/kvm/xen.c has no compat handling, v5.12 to v7.3"
)
_XEN_FIX = "none; the one of system_event was explicit padding, d495f942f40a"

# fmt: off
ERRATA = (
    Erratum(
        id="xen-exit-i386",
        claims=("x86_64.xen.hypercall.i386",),
        abi="i386",
        says="a VMM built for i386 reads every member of KVM_EXIT_XEN but type four bytes off",
        since=((5, 12),),
        source=_XEN_SOURCE,
        fix=_XEN_FIX,
        fails=(
            # The padding, which nothing writes; the members of cpl and input; then halves of two neighbours each.
            Symptom("xen.u.hcall.longmode", "0xaaaaaaaa"),
            Symptom("xen.u.hcall.input", "0x5e0100000000"),
            Symptom("xen.u.hcall.result", "0xaaaaaaaa00000000"),
            Symptom("xen.u.hcall.params[0]", "0x5e020001aaaaaaaa"),
            Symptom("xen.u.hcall.params[1]", "0x5e03000200000000"),
            Symptom("xen.u.hcall.params[2]", "0x5e04000300000000"),
            Symptom("xen.u.hcall.params[3]", "0x5e05000400000000"),
            Symptom("xen.u.hcall.params[4]", "0x5e06000500000000"),
            Symptom("xen.u.hcall.params[5]", "0x5e07000600000000"),
        ),
        seen=("6.12.117", "7.2.12", "7.3.4"),
        evidence="""\
kvm_run at 'exit', poison aa; ^^ marks what is wrong:
 32  01 00 00 00 aa aa aa aa 00 00 00 00 00 00 00 00
                 ^^ ^^ ^^ ^^             ^^ ^^ ^^ ^^
 48  01 5e 00 00 00 00 00 00 aa aa aa aa aa aa aa aa
 64  01 00 02 5e 00 00 00 00 02 00 03 5e 00 00 00 00
 80  03 00 04 5e 00 00 00 00 04 00 05 5e 00 00 00 00
 96  05 00 06 5e 00 00 00 00 06 00 07 5e 00 00 00 00
     ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^ ^^""",
    ),
    Erratum(
        id="xen-result-i386",
        claims=("x86_64.xen.result.i386",),
        abi="i386",
        says="of the hypercall result that an i386 VMM writes, the guest gets the upper half as the lower one",
        since=((5, 12),),
        source=_XEN_SOURCE,
        fix=_XEN_FIX,
        fails=(Symptom("back: rax", "0xaaaaaaaa11223344"),),
        seen=("6.12.117", "7.2.12", "7.3.4"),
        evidence="""\
back: rax: got 0xaaaaaaaa11223344, expected 0x1122334455667788
kvm_run, after the VMM has written 88 77 66 55 44 33 22 11 at 52; the kernel reads 8 bytes at 56:
 48  01 5e 00 00 88 77 66 55 44 33 22 11 aa aa aa aa""",
    ),
    Erratum(
        id="svm-shutdown-unpaged",
        claims=("x86_64.after_shutdown.real", "x86_64.after_shutdown.protected"),
        says="an SVM vCPU that triple-faulted with CR0.PG = 0 never runs again after its reset",
        since=((6, 1),),
        mode=_SVM,
        source=f"{_SHUTDOWN} clears the VMCB, and kvm_vcpu_reset reloads the MMU's root only if paging was on, so that "
        "nested_cr3 stays 0: KVM_RUN spins until a signal, with and without nested paging",
        fix="none; kvm_mmu_reset_context() behind the reset cures 6.12.107 (built and run)",
        fails=(_NEVER_AGAIN,),
        seen=("6.1.176", "6.12.117", "7.2.12", "7.3.4"),
        evidence=_NEVER_AGAIN_BYTES,
    ),
    Erratum(
        id="svm-shutdown-unpaged-qemu",
        claims=("x86_64.vmm.qemu.triple_fault.unpaged",),
        says="a guest of QEMU that triple-faults without paging is reset by QEMU, and never runs again",
        since=((6, 1),),
        mode=_SVM,
        source=f"{_SHUTDOWN}: as svm-shutdown-unpaged",
        fix="none: see svm-shutdown-unpaged",
        fails=(Symptom("guest started again", "no"),),
        seen=("6.1.176", "6.12.117", "7.2.12"),
        evidence="""\
QEMU 10.0.13: {"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}, then nothing for 6 s; query-status
says "running"; the count of starts in the guest's memory stays 1.""",
    ),
    Erratum(
        id="kvm-ioctls-stale-data",
        claims=("x86_64.vmm.kvm_ioctls.hyperv.*",),
        says="kvm-ioctls gives a VMM bytes of an earlier exit as the data of a Hyper-V event",
        since=((5, 10),),
        fixed=((5, 18),),
        source="kvm-ioctls, VcpuFd::run(): it takes ndata without KVM_CAP_SYSTEM_EVENT_DATA; these kernels "
        "have no ndata, and write neither flags nor data for Hyper-V's events",
        fix="none in 0.19.1 and 0.25.1; the kernel writes ndata since d495f942f40a, v5.18",
        fails=(Symptom("data", "[0x1000]"),),
        seen=("5.10.0-32",),
        evidence="after an OUT: data: got [0x1000], expected []; 0x1000 is io.data_offset of that OUT",
    ),
    Erratum(
        id="kvm-ioctls-panic",
        claims=("x86_64.vmm.kvm_ioctls.hyperv.reset.panic",),
        says="a guest makes any VMM on kvm-ioctls panic: a store to 17 << 32, then a Hyper-V reset",
        since=((5, 10),),
        fixed=((5, 18),),
        source="as kvm-ioctls-stale-data: the upper half of mmio.phys_addr is taken for ndata, and data has 16 members",
        fix="as kvm-ioctls-stale-data",
        fails=(Symptom("exit", "panic: *"),),
        seen=("5.10.0-32",),
        evidence="panic: range end index 17 out of range for slice of length 16",
    ),
    Erratum(
        id="svm-shutdown-smm",
        claims=("x86_64.after_shutdown.smm",),
        says="an SVM vCPU that triple-faulted in System Management Mode never runs again after its reset",
        since=((6, 1),),
        # In 6.1 there is no repair.
        fixed=_LEAVES_SMM,
        mode=_SVM,
        source=f"{_SHUTDOWN}: as svm-shutdown-unpaged, because SMM has no paging",
        fix="a2620f8932fa, KVM: SVM: Forcibly leave SMM mode on SHUTDOWN interception, which resets the MMU as well",
        fails=(_NEVER_AGAIN,),
        seen=("6.1.176",),
        evidence=_NEVER_AGAIN_BYTES,
    ),
    Erratum(
        id="smm-reset-warning",
        claims=("x86_64.kernel.log",),
        says="KVM resets a vCPU in System Management Mode without leaving it, and warns",
        # ed129ec9057f.
        since=((6, 1),),
        # In 6.1 there is no repair.
        fixed=_LEAVES_SMM,
        mode=_SVM,
        source=f"CVE-2025-37957; {_SHUTDOWN}; since ed129ec9057f",
        fix="a2620f8932fa, KVM: SVM: Forcibly leave SMM mode on SHUTDOWN interception",
        # KVM warns once, so in whichever of these scenarios comes first.
        fails=(Symptom("while x86_64.*smm* ran (*)", "WARNING: *kvm_vcpu_reset+0x*"),),
        scenario="x86_64.triple_fault.smm",
        seen=("6.1.176",),
        evidence="WARNING: CPU: 0 PID: 85 at arch/x86/kvm/x86.c:12184 kvm_vcpu_reset+0x83/0x5b0 [kvm]",
    ),
    Erratum(
        id="pkvm-irq-line",
        claims=("arm64.psci.cpu_suspend",),
        says="in protected mode the interrupt that KVM_IRQ_LINE raises is lost at the next exit of its vCPU, which "
        "then sleeps in CPU_SUSPEND although the line is high",
        since=((6, 13),),
        fixed=((7, 3),),
        mode={"mode": "protected *"},
        source="arch/arm64/kvm/hyp/nvhe/hyp-main.c: flush_hyp_vcpu takes the traps of HCR_EL2 from the host and not VI "
        "and VF, and sync_hyp_vcpu overwrites the host's; since b56680de9c64, which made the value at EL2",
        fix="v7.3: VI and VF of a VM that is not protected come from the host (PKVM_HCR_EL2_HOST_NPVM), whose value "
        "stays; not in 7.2.13",
        fails=(Symptom("pending: exit_reason", "none within * s: the watchdog ended KVM_RUN"),),
        seen=("7.2.12",),
        evidence="""\
pending: exit_reason: got none within 1.5 s: the watchdog ended KVM_RUN, expected 6 (MMIO)
kvm_run at 'pending', poison aa, errno 4 (EINTR), pc 0x40000004:
  0  00 00 00 00 00 00 00 00 0a 00 00 00 aa aa 00 00
                             ^^ ^^ ^^ ^^
 32  aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa""",
    ),
)
# fmt: on
# Every erratum by its id.
BY_ID = {one.id: one for one in ERRATA}


def weigh(
    verdict: Verdict,
    claim: str,
    abi: str,
    facts: Facts,
    terms: Terms,
    scenarios: Collection[str] = (),
    table: Sequence[Erratum] = ERRATA,
) -> Verdict:
    """Return the verdict on a claim in the light of the errata.

    A failure that an erratum explains is DONE, or FAIL under --strict-errata. A PASS where an erratum says that the
    claim fails stays PASS, and says so. Any other verdict is returned unchanged.

    scenarios: those that were asked, for a claim about many.
    """
    for one in table:
        if not (one.about(claim, abi) and one.affects(facts, terms)):
            continue
        if verdict.mismatches and one.explains(verdict.mismatches):
            status = Status.FAIL if terms.strict_errata else Status.DONE
            reason = f"{KNOWN}, erratum {one.id}: {one.says}. {verdict.reason}"
            return msgspec.structs.replace(verdict, status=status, reason=reason, erratum=one.id)
        if verdict.status is Status.PASS and (not one.scenario or one.scenario in scenarios):
            reason = f"{verdict.reason} It passes although erratum {one.id} says that it fails: {one.says}."
            return msgspec.structs.replace(verdict, reason=reason, erratum=one.id)
    return verdict
