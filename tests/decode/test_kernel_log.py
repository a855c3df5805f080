"""Splats in a kernel's log: where each begins and ends, and whether KVM is in its trace."""

import pytest

from sysevent.decode.kernel_log import splats

CUT = "------------[ cut here ]------------"
END = "---[ end trace 0000000000000000 ]---"
MODULES = "Modules linked in: kvm_amd kvm irqbypass ccp"


def lines(text):
    return tuple(line.strip("\n")[4:] for line in text.strip("\n").split("\n"))


# 6.1.176, x86-64: a triple fault in SMM.
X86 = lines("""
    ------------[ cut here ]------------
    WARNING: CPU: 0 PID: 94 at arch/x86/kvm/x86.c:11954 kvm_vcpu_reset+0x2d4/0x3b0 [kvm]
    Modules linked in: kvm_amd kvm irqbypass ccp virtio_console
    CPU: 0 PID: 94 Comm: vmm.1 Not tainted 6.1.0-44-cloud-amd64 #1  Debian 6.1.176-1
    RIP: 0010:kvm_vcpu_reset+0x2d4/0x3b0 [kvm]
    Call Trace:
     <TASK>
     shutdown_interception+0x5a/0x90 [kvm_amd]
     kvm_arch_vcpu_ioctl_run+0xc93/0x1700 [kvm]
     __x64_sys_ioctl+0x90/0xd0
     </TASK>
    ---[ end trace 0000000000000000 ]---
""")
ARM64 = lines("""
    ------------[ cut here ]------------
    WARNING: CPU: 0 PID: 71 at arch/arm64/kvm/psci.c:183 kvm_psci_call+0x3f4/0x560
    pc : kvm_psci_call+0x3f4/0x560
    Call trace:
     kvm_psci_call+0x3f4/0x560
     kvm_smccc_call_handler+0x1f8/0x310
    ---[ end trace 0000000000000000 ]---
""")
# Since v6.18 the processor and the process are at the end of the headline.
NEW = lines("""
    ------------[ cut here ]------------
    WARNING: virt/kvm/kvm_main.c:4466 at kvm_vcpu_ioctl+0x1a0/0x7f0, CPU#0: vmm.3/81
    ---[ end trace 0000000000000000 ]---
""")
UBSAN = lines("""
    ------------[ cut here ]------------
    UBSAN: shift-out-of-bounds in arch/riscv/kvm/vcpu_sbi.c:113:18
    shift exponent 64 is too large for 64-bit type 'long unsigned int'
    ---[ end trace ]---
""")
LOCKDEP = lines("""
    ======================================================
    WARNING: possible circular locking dependency detected
    vmm.1/94 is trying to acquire lock:
    ffff888003c7a0a8 (&kvm->srcu){.+.+}-{0:0}, at: kvm_vcpu_ioctl+0x90/0x700 [kvm]
    stack backtrace:
     kvm_vcpu_ioctl+0x90/0x700 [kvm]
""")
KASAN = lines("""
    BUG: KASAN: slab-out-of-bounds in kvm_make_request+0x11/0x80 [kvm]
    Read of size 8 at addr ffff888001234567 by task vmm.1/94
""")
OOPS = lines("""
    BUG: kernel NULL pointer dereference, address: 0000000000000000
    #PF: supervisor read access in kernel mode
    Oops: 0000 [#1] PREEMPT SMP NOPTI
    RIP: 0010:kvm_arch_vcpu_ioctl_run+0x10/0x1700 [kvm]
    ---[ end trace 0000000000000000 ]---
""")
ADDRESSES = lines("""
    ------------[ cut here ]------------
    WARNING: CPU: 0 PID: 20 at 0xffffffff81053ad8
    CPU: 0 UID: 0 PID: 20 Comm: vmm.2 Not tainted 6.12.117 #1
    RIP: 0010:0xffffffff81053ad8
    Call Trace:
     <TASK>
     ? 0xffffffff810aba2e
     0xffffffff81019111
     </TASK>
    ---[ end trace 0000000000000000 ]---
""")
OTHER = lines("""
    ------------[ cut here ]------------
    WARNING: CPU: 0 PID: 94 at mm/page_alloc.c:4800 __alloc_pages+0x11a/0x2e0
    Modules linked in: kvm_amd kvm irqbypass ccp
    CPU: 0 PID: 94 Comm: vmm.1 Not tainted
     ? kvm_vcpu_ioctl+0x90/0x700 [kvm]
     __x64_sys_mmap+0x90/0xd0
    ---[ end trace 0000000000000000 ]---
""")
# A timer that fires while a vCPU runs.
INTERRUPT = lines("""
    ------------[ cut here ]------------
    WARNING: CPU: 0 PID: 94 at kernel/time/clockevents.c:40 clockevents_program_event+0x1/0x2
     <IRQ>
     hrtimer_interrupt+0x100/0x240
     </IRQ>
     <TASK>
     asm_sysvec_apic_timer_interrupt+0x1b/0x20
    RIP: 0010:svm_vcpu_run+0x1f0/0x9a0 [kvm_amd]
     kvm_arch_vcpu_ioctl_run+0xc93/0x1700 [kvm]
    ---[ end trace 0000000000000000 ]---
""")
INTERRUPT_ARM64 = lines("""
    ------------[ cut here ]------------
    WARNING: CPU: 0 PID: 71 at kernel/time/clockevents.c:40 clockevents_program_event+0x1/0x2
    Call trace:
     clockevents_program_event+0x1/0x2
     gic_handle_irq+0x4c/0x110
     el1h_64_irq+0x64/0x68
     kvm_arch_vcpu_ioctl_run+0x1/0x2
    ---[ end trace 0000000000000000 ]---
""")
INTERRUPT_ADDRESSES = (*ADDRESSES[:5], " <IRQ>", " 0xffffffff81019111", " </IRQ>", *ADDRESSES[5:])
ANOTHER_PROCESS = tuple(line.replace("vmm.2", "init") for line in ADDRESSES)
RCU = lines("""
    rcu: INFO: rcu_preempt self-detected stall on CPU
    rcu: 0-....: (5249 ticks this GP)
     kvm_arch_vcpu_ioctl_run+0xc93/0x1700 [kvm]
""")
LOCKUP = lines("""
    watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [vmm.1:94]
    RIP: 0010:svm_vcpu_run+0x1f0/0x9a0 [kvm_amd]
     kvm_arch_vcpu_ioctl_run+0xc93/0x1700 [kvm]
""")
HUNG = lines("""
    INFO: task vmm.1:94 blocked for more than 120 seconds.
     kvm_vcpu_ioctl+0x90/0x700 [kvm]
""")


@pytest.mark.parametrize(
    ("log", "headline"),
    [
        (X86, X86[1]),
        (ARM64, ARM64[1]),
        (NEW, NEW[1]),
        (UBSAN, UBSAN[1]),
        (LOCKDEP, LOCKDEP[1]),
        (KASAN, KASAN[0]),
        (OOPS, OOPS[0]),
        (ADDRESSES, ADDRESSES[1]),
    ],
    ids=["x86", "arm64", "new", "ubsan", "lockdep", "kasan", "oops", "addresses"],
)
def test_a_splat_of_kvm(log, headline):
    """One splat, with KVM in its trace; other messages around it do not belong to it."""
    (found,) = splats(("kvm: a message", *log))
    assert (found.headline, found.in_kvm, found.stall) == (headline, True, False)
    assert found.lines == tuple(line for line in log if not line.startswith("==="))


@pytest.mark.parametrize(
    "log",
    [OTHER, INTERRUPT, INTERRUPT_ARM64, INTERRUPT_ADDRESSES, ANOTHER_PROCESS],
    ids=["other", "interrupt", "interrupt_arm64", "interrupt_addresses", "another_process"],
)
def test_a_splat_of_others(log):
    """Modules that are only loaded, entries marked with "?", and what was interrupted, do not make it KVM's."""
    (found,) = splats(log)
    assert (found.in_kvm, found.stall) == (False, False)


@pytest.mark.parametrize("log", [RCU, LOCKUP, HUNG], ids=["rcu", "lockup", "hung"])
def test_a_stall(log):
    """It says that the machine was slow."""
    (found,) = splats(log)
    assert found.stall
    assert found.headline == log[0]


def test_several_splats():
    """Each begins with a line of its own, also if the end of the one before it is missing."""
    found = splats((*X86[:-1], *ARM64, *RCU, *OOPS))
    assert [(one.headline, one.in_kvm, one.stall) for one in found] == [
        (X86[1], True, False),
        (ARM64[1], True, False),
        (RCU[0], True, True),
        (OOPS[0], True, False),
    ]


def test_no_splat():
    """Warnings that are no report of a defect."""
    noise = (
        "kvm [94]: vcpu0, guest rIP: 0x100000 unhandled rdmsr: 0x40000080",
        "hrtimer: interrupt took 12 ns",
    )
    assert splats(noise) == ()
    assert splats(()) == ()


def test_a_block_without_a_headline():
    """It is a splat; its last line stands for it."""
    (found,) = splats((CUT, "something new"))
    assert (found.headline, found.in_kvm) == ("something new", False)
