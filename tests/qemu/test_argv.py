"""QEMU's command line, word by word: a change of it changes every guest."""

from pathlib import Path

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.qemu.argv import GuestConfig, InheritedFds, argv, kernel_command_line

# fmt: off
BEFORE = {
    "arm64": [
        "qemu-system-aarch64", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "virt,virtualization=on,gic-version=3", "-accel", "tcg", "-cpu", "max,pauth-impdef=on",
    ],
    "riscv64": [
        "qemu-system-riscv64", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "virt", "-accel", "tcg", "-cpu", "rv64,h=true",
    ],
    "x86_64": [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "q35,sata=off", "-accel", "tcg", "-cpu", "max,-cx16",
    ],
}
CONSOLE = {"arm64": "ttyAMA0", "riscv64": "ttyS0", "x86_64": "ttyS0"}
QUICK = (
    "cryptomgr.notests init_on_alloc=0 lsm= audit=0 debugfs=off "
    "rcupdate.rcu_expedited=1 rcu_nocbs=0 initcall_blacklist="
    "load_system_certificate_list,jent_mod_init,crypto_kdf108_init,init_encrypted,"
    "bpf_dummy_struct_ops_init,bpf_tcp_ca_kfunc_init,bpf_kfunc_init"
)
BEHIND = [
    "-chardev", "socket,id=monitor,fd=5", "-mon", "chardev=monitor,mode=control",
    "-chardev", "socket,id=console,fd=4", "-serial", "chardev:console",
]
CHANNEL = [
    "-chardev", "socket,id=channel,fd=6",
    "-device", "virtio-serial-pci,ioeventfd=off,max_ports=8",
    "-device", "virtserialport,chardev=channel,name=sysevent,nr=1",
]


def golden(arch, channel):
    console, port = CONSOLE[arch], " sysevent_channel=vport0p1" if channel else ""
    append = f"console={console} quiet oops=panic panic=-1 watchdog_thresh=60{port} sysevent_serial={console} {QUICK}"
    return [
        *BEFORE[arch], "-m", "512", "-smp", "1", "-no-reboot",
        "-kernel", "/k/Image", "-initrd", "/i/cpio", "-append", append,
        *BEHIND, *(CHANNEL if channel else []),
    ]
# fmt: on


def machine(arch, **changes):
    values = {
        "arch": ARCHITECTURES[arch],
        "accel": "tcg",
        "cpu": "",
        "memory": 512,
        "kernel": Path("/k/Image"),
        "initramfs": Path("/i/cpio"),
    }
    return GuestConfig(**values | changes)


LINES = InheritedFds(monitor=5, console=4, channel=6)


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_with_a_channel(arch):
    assert argv(machine(arch), LINES) == golden(arch, channel=True)


def test_with_a_clock_of_its_own():
    command = argv(machine("arm64", counted=True), LINES)
    assert command[command.index("-icount") + 1] == "shift=4,align=off,sleep=on"


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_on_the_serial_line(arch):
    """There is no virtio port, neither in QEMU's options nor on the kernel's command line."""
    assert argv(machine(arch, virtio=False), LINES) == golden(arch, channel=False)


def test_options_of_a_target():
    """Its CPU and memory replace the defaults, and its words for the kernel come last, so that they win."""
    properties = "gic-version=2"
    words = argv(
        machine("arm64", cpu="neoverse-n1", memory=2048, append="quiet  loglevel=7", machine=properties),
        LINES,
    )
    assert words[words.index("-machine") + 1].endswith(f"gic-version=3,{properties}")
    assert words[words.index("-cpu") + 1] == "neoverse-n1"
    assert words[words.index("-m") + 1] == "2048"
    assert words[words.index("-append") + 1].endswith("bpf_kfunc_init quiet loglevel=7")


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_saved_and_restored(arch):
    """Only the memory differs: a shared file when it is saved, a private copy of the file when it is restored."""
    saved = argv(machine(arch), msgspec.structs.replace(LINES, memory=9))
    memory = "memory-backend-file,id=memory,size=512M,mem-path=/proc/self/fd/9,share="
    assert saved[-2:] == ["-object", f"{memory}on"]
    kind = saved.index("-machine") + 1
    saved[kind] = saved[kind].removesuffix(",memory-backend=memory")
    assert saved[:-2] == golden(arch, channel=True)
    restored = argv(machine(arch), msgspec.structs.replace(LINES, memory=9), restored=True)
    assert restored[-4:] == ["-object", f"{memory}off", "-incoming", "defer"]
    assert restored[:kind] == saved[:kind]


def test_another_firmware():
    words = argv(machine("x86_64", firmware=Path("/f/qboot.rom")), LINES)
    assert words[words.index("-bios") + 1] == "/f/qboot.rom"


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_in_a_debugger(arch):
    """It waits before the first instruction, with a gdbstub on an inherited socket and without KASLR."""
    plain, debugged = (argv(machine(arch, debug=debug), InheritedFds(5, 4, 6, 7)) for debug in (False, True))
    assert debugged[-5:] == ["-chardev", "socket,id=gdb,fd=7,server=on,wait=off", "-gdb", "chardev:gdb", "-S"]
    ((before, after),) = [pair for pair in zip(plain, debugged, strict=False) if pair[0] != pair[1]]
    assert sorted(after.split()) == sorted([*before.split(), "nokaslr"])
    assert not {"-S", "-gdb"} & set(plain)


def test_kept():
    """It has a second console behind an inherited listening socket."""
    words = argv(machine("arm64", keep=True), InheritedFds(5, 4, 6, attach=8))
    # fmt: off
    assert words[-4:] == [
        "-chardev", "socket,id=attach,fd=8,server=on,wait=off",
        "-device", "virtconsole,chardev=attach",
    ]
    # fmt: on
    assert "sysevent_keep=1" in words[words.index("-append") + 1].split()
    assert CHANNEL[3] in argv(machine("arm64", keep=True, virtio=False), LINES)


def test_forwarded_port():
    """Only this machine reaches the guest, and the guest reaches nothing."""
    words = argv(machine("x86_64", forwarded_port=22), LINES)
    assert words[words.index("-netdev") + 1] == "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"
    assert "-netdev" not in argv(machine("x86_64"), LINES)


def test_the_environment_of_init():
    """The command line has the names that guests/init/init.c reads from its environment."""
    words = kernel_command_line(ARCHITECTURES["arm64"], virtio=True).split()
    assert {"sysevent_channel=vport0p1", "sysevent_serial=ttyAMA0"} <= set(words)
