"""A guest's console: the log, the signs of a lost kernel, and text that is safe to print."""

import contextlib
import socket
import time

import pytest

from sysevent.qemu.console import Console, trouble

NULL_POINTER_ARM64 = """\
[    2.105113] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010\r
[    2.105941] Mem abort info:\r
[    2.106218]   ESR = 0x0000000096000004\r
[    2.118345] Internal error: Oops: 0000000096000004 [#1] SMP\r
[    2.119020] Modules linked in: virtio_console virtio_pci\r
"""
NULL_POINTER_X86 = """\
[    1.402204] BUG: kernel NULL pointer dereference, address: 0000000000000008\r
[    1.403177] #PF: supervisor read access in kernel mode\r
[    1.404018] #PF: error_code(0x0000) - not-present page\r
[    1.404837] PGD 0 P4D 0 \r
[    1.405331] Oops: 0000 [#1] PREEMPT SMP NOPTI\r
[    1.406059] CPU: 0 PID: 57 Comm: vmm Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1\r
"""
BAD_PAGE_X86 = """\
[    1.402204] BUG: unable to handle page fault for address: ffffb2c5c0a5d000\r
[    1.405331] Oops: Oops: 0002 [#1] SMP NOPTI\r
"""
NULL_POINTER_RISCV = """\
[    3.000011] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000\r
[    3.001219] Oops [#1]\r
"""
PANIC = """\
[    2.401834] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\r
[    2.402999] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.107+deb13-cloud-arm64 #1  Debian 6.12.107-1\r
[    2.404311] ---[ end Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b ]---\r
"""
LOCKUP = """\
[   48.003911] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [vmm:61]\r
[   48.004872] Modules linked in: kvm_amd kvm ccp\r
"""
PROTECTION_X86 = """\
[    1.882113] general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP\r
"""
BUG_ON = """\
[    1.120001] ------------[ cut here ]------------\r
[    1.120411] kernel BUG at arch/x86/kvm/mmu/mmu.c:812!\r
"""
INNOCENT = """\
SeaBIOS (version 1.16.2-debian-1.16.2-1)\r
Booting from ROM...\r
[    0.000000] Linux version 6.12.107+deb13-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC\r
[    0.000000] Command line: console=ttyS0 quiet oops=panic panic=-1 sysevent_channel=vport0p1\r
[    0.000000] Unknown kernel command line parameters "sysevent_channel=vport0p1", will be passed to user space.\r
[    0.104414] Spectre V2 : Mitigation: Retpolines\r
[    0.310210] ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0], AE_NOT_FOUND (20240827/psargs-332)\r
[    0.331190] watchdog: Delayed init of the lockup detector failed: -19\r
[    0.514218] kvm_intel: VMX not supported by CPU 0\r
[    0.700102] WARNING: CPU: 0 PID: 44 at arch/x86/kvm/x86.c:11204 kvm_arch_vcpu_ioctl_run+0x5c/0x90 [kvm]\r
[    0.702118] rcu: INFO: rcu_preempt self-detected stall on CPU\r
sysevent: /modules/03-kvm-intel.ko: errno 95\r
"""


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        (PANIC, "panic", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b"),
        (NULL_POINTER_ARM64, "oops", "Internal error: Oops: 0000000096000004 [#1] SMP"),
        (NULL_POINTER_X86, "oops", "Oops: 0000 [#1] PREEMPT SMP NOPTI"),
        (BAD_PAGE_X86, "oops", "BUG: unable to handle page fault for address: ffffb2c5c0a5d000"),
        (
            NULL_POINTER_RISCV,
            "oops",
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
        ),
        (PROTECTION_X86, "oops", PROTECTION_X86.partition("] ")[2].strip()),
        (BUG_ON, "oops", "kernel BUG at arch/x86/kvm/mmu/mmu.c:812!"),
        (LOCKUP, "lockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [vmm:61]"),
    ],
    ids=["panic", "arm64", "x86", "x86_page", "riscv", "x86_gp", "bug_on", "lockup"],
)
def test_trouble(text, kind, line):
    """What it is and the line that says so, wherever in the text it stands."""
    assert trouble(text) == (kind, line)
    assert trouble(INNOCENT + text + INNOCENT) == (kind, line)


def test_a_panic_tells_more_than_its_oops():
    assert trouble(NULL_POINTER_ARM64 + LOCKUP + PANIC)[0] == "panic"


@pytest.mark.parametrize("text", ["", INNOCENT, INNOCENT.replace("\r", "")], ids=["nothing", "boot", "unix"])
def test_no_trouble(text):
    """What every boot prints, and warnings that a kernel survives."""
    assert trouble(text) is None


def test_the_line_of_trouble_is_escaped():
    assert trouble("Kernel panic - not syncing: \x1b[2Jbang\r\n") == (
        "panic",
        "Kernel panic - not syncing: \\x1b[2Jbang",
    )


@pytest.fixture
def line(tmp_path):
    """A console and the guest's end of it."""
    ours, theirs = socket.socketpair()
    console = Console(ours, tmp_path / "console.log")
    with theirs:
        yield console, theirs
    console.close()


def test_console(line, tmp_path):
    """What comes is in the log byte for byte, and is the guest's text only when it was noted."""
    console, guest = line
    assert console.pump() == b""
    guest.sendall(PANIC.encode() + b"\xff\xfe")
    got = console.pump()
    assert got == PANIC.encode() + b"\xff\xfe"
    assert (tmp_path / "console.log").read_bytes() == got
    assert console.trouble() is None
    console.note(got)
    assert console.trouble()[0] == "panic"
    console.send(b"to the guest")
    assert guest.recv(100) == b"to the guest"


def test_end_of_a_console(line):
    console, guest = line
    guest.sendall(b"last words")
    guest.close()
    assert console.pump() == b"last words"
    assert not console.open
    assert console.pump() == b""


def test_tail(line):
    """The last forty lines, safe to print."""
    console, _ = line
    console.note(b"".join(b"line %d \x1b[1m\xff\r\n" % n for n in range(100)))
    tail = console.tail().splitlines()
    assert len(tail) == 40
    assert tail[-1] == "line 99 \\x1b[1m\ufffd"


def test_trouble_of_a_trickle_and_of_a_flood(line):
    """Each line is searched once, so that bytes which come one by one cost no more than the same bytes at once."""
    console, _ = line
    console.note(b"x" * 100 + b"\n")
    begin = time.process_time()
    for _ in range(3000):
        console.note(b"[    1.000000] a line like any other\r\n" * 3)
        console.note(b"y")
        assert console.trouble() is None
    assert time.process_time() - begin < 2
    console.note(b"\nKernel pa")
    assert console.trouble() is None
    console.note(b"nic - not syncing: Att")
    assert console.trouble() == ("panic", "Kernel panic - not syncing: Att")
    console.note(b"empted to kill init!\r\nOops: 0000 [#1]\n")
    assert console.trouble() == ("panic", "Kernel panic - not syncing: Attempted to kill init!")
    for _ in range(20):
        console.note(b"z" * (1 << 17))
        assert console.trouble()[0] == "panic"


def test_a_worse_message_that_comes_later(line):
    console, _ = line
    console.note(b"watchdog: BUG: soft lockup - CPU#0\n")
    assert console.trouble()[0] == "lockup"
    console.note(b"Internal error: Oops\nKernel panic - not syncing: x")
    assert console.trouble() == ("panic", "Kernel panic - not syncing: x")


def test_a_flood_does_not_fill_the_disk(line, tmp_path):
    console, guest = line
    guest.setblocking(False)
    for _ in range(400):
        with contextlib.suppress(BlockingIOError):
            guest.send(b"z" * (1 << 17))
        console.pump()
    assert (tmp_path / "console.log").stat().st_size <= 12 << 20


def test_a_full_disk_does_not_cost_the_guest(tmp_path):
    ours, guest = socket.socketpair()
    log = tmp_path / "console.log"
    log.symlink_to("/dev/full")
    console = Console(ours, log)
    with guest:
        guest.sendall(PANIC.encode())
        console.note(console.pump())
        assert console.trouble()[0] == "panic"
    console.close()
