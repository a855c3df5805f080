"""A KVM that is to be nested: proved by a guest that makes a VM, and remembered as long as that can hold."""

import time

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm
from sysevent.hosts.qemu import bundle as boots
from sysevent.hosts.qemu import nested, opener
from sysevent.hosts.qemu.bundle import Boot
from sysevent.hosts.qemu.opener import Booter
from sysevent.model import KernelImage
from sysevent.qemu.accel import Accel
from sysevent.qemu.argv import Machine, argv
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

AUTO = TargetSpec(name="here", arch="x86_64", where="auto")
ANSWERS = "channel.sendall(hello()); kind, abi, number, body = request(channel);"


@pytest.fixture
def settings(tmp_path):
    return Settings(cache=tmp_path / "cache", mirror=None, keyring=None, offline=True, snapshots=True)


@pytest.fixture
def told():
    return []


@pytest.fixture
def boot(tmp_path):
    """boot(key): a guest under KVM."""
    kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", "", tmp_path / "bzImage", None)
    machine = Machine(ARCHITECTURES["x86_64"], "kvm", "", 64, kernel.image, tmp_path / "initramfs")
    return lambda key="key": Boot(AUTO, kernel, machine, key)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"{ANSWERS} channel.sendall(reply(number)); forever()", ""),
        (f"{ANSWERS} channel.sendall(reply(number, state=1)); forever()", "does not nest"),
        ("console.sendall(b'Kernel panic - not syncing: x\\r\\n'); forever()", "was lost: here: panic"),
        ("sys.exit(1)", "was lost: here: QEMU ended with exit code 1"),
        ("forever()", "was lost: here: silent"),
    ],
)
def test_a_guest_under_kvm(settings, stub, boot, told, monkeypatch, script, words):
    """Must make a VM; every way in which it does not is a reason, found out once, within the deadline."""
    monkeypatch.setattr(nested, "_BOOT", 1)
    stub(f"    {script}\n")
    begin = time.monotonic()
    found = nested.refused(boot(), settings, told.append)
    assert time.monotonic() - begin < 5
    assert words in found
    assert bool(words) == bool(found)
    assert nested.refused(boot(), settings, told.append) == found
    assert len(told) == 1
    nested.refused(boot("another kernel"), settings, told.append)
    assert len(told) == 2


def test_how_long_it_holds(settings, boot, told, monkeypatch, tmp_path):
    """What works: until the machine is rebooted. What does not: for an hour."""
    results = ["spins", "", "never asked", ""]
    monkeypatch.setattr(nested, "_trial", lambda _: results.pop(0))
    assert nested.refused(boot(), settings, told.append) == "spins"
    assert nested.refused(boot(), settings, told.append) == "spins"
    late = time.time() + nested._STALE + 1
    monkeypatch.setattr(nested.time, "time", lambda: late)
    assert nested.refused(boot(), settings, told.append) == ""
    monkeypatch.setattr(nested.time, "time", lambda: 10 * late)
    assert nested.refused(boot(), settings, told.append) == ""
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(nested, "_BOOT_ID", tmp_path / "boot_id")
    assert nested.refused(boot(), settings, told.append) == "never asked"


@pytest.fixture
def prepared(settings, tmp_path, told, monkeypatch):
    """prepared(row, starts, nests): the Booter of a row on a machine where QEMU, and its guest, say this of KVM."""
    init = tmp_path / "init"
    init.touch()
    program = opener.programs.Program(init, "")
    monkeypatch.setattr(opener.programs, "init", lambda *_: program)
    monkeypatch.setattr(opener.programs, "vmm", lambda *_: program)
    kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", "", init, None)
    monkeypatch.setattr(opener.resolve, "find", lambda *_: kernel)
    monkeypatch.setattr(boots.vmlinux, "uncompressed", lambda *_: init)
    monkeypatch.setattr(boots.initramfs, "build", lambda *_: init)

    def make(row, starts="", nests=""):
        def choose(where, arch, cpu=""):
            if where == "kvm" and starts:
                raise NoKvm(starts)
            return (
                Accel("tcg", "" if where == "tcg" else starts) if where == "tcg" or starts else Accel("kvm")
            )

        monkeypatch.setattr(boots, "choose", choose)
        monkeypatch.setattr(nested, "refused", lambda *_: nests)
        found = Booter(msgspec.structs.replace(AUTO, **row), settings, None)
        found.prepare(told.append)
        return found

    return make


@pytest.mark.parametrize(
    ("where", "starts", "nests", "runs", "fallback"),
    [
        ("auto", "", "", "kvm", ""),
        ("auto", "aborts", "", "tcg", "aborts"),
        ("auto", "", "does not nest", "tcg", "does not nest"),
        ("kvm", "", "does not nest", "kvm", ""),  # the run itself says so
        ("tcg", "aborts", "does not nest", "tcg", ""),
    ],
)
def test_what_is_booted(prepared, told, where, starts, nests, runs, fallback):
    """Command line, record and snapshots follow what it really runs under; why it is TCG is told once."""
    found = prepared({"where": where}, starts, nests)
    assert found._boot.fallback == fallback
    command = argv(found._boot.machine)
    assert command[command.index("-accel") + 1] == runs
    assert command[command.index("-cpu") + 1] == ("host" if runs == "kvm" else "max,-cx16")
    assert (found._snapshots is None) == (runs == "kvm")
    assert told == ([f"here: TCG, not KVM: {fallback}"] if fallback else [])


def test_keys_differ(prepared):
    """A guest under KVM is another one than under TCG."""
    assert prepared({})._boot.key != prepared({"where": "tcg"})._boot.key
    assert prepared({}, nests="does not nest")._boot.key == prepared({"where": "tcg"})._boot.key


@pytest.mark.parametrize(
    ("cpu", "becomes"), [("host,-x2apic", "max,-cx16"), ("host", "max,-cx16"), ("EPYC", "EPYC")]
)
@pytest.mark.parametrize("reason", [{"starts": "aborts"}, {"nests": "does not nest"}])
def test_a_cpu_that_only_kvm_has(prepared, cpu, becomes, reason):
    """Would end a QEMU without KVM."""
    command = argv(prepared({"cpu": cpu}, **reason)._boot.machine)
    assert command[command.index("-cpu") + 1] == becomes


def test_a_debugger_is_not_for_the_trial(settings, stub, boot, told, tmp_path):
    """Which would wait for it."""
    log = f"open({str(tmp_path / 'argv')!r}, 'w').write(' '.join(sys.argv))"
    stub(f"    {log}; {ANSWERS} channel.sendall(reply(number)); forever()\n")
    plain = boot()
    debugged = msgspec.structs.replace(plain, machine=msgspec.structs.replace(plain.machine, debug=True))
    assert "-gdb" in argv(debugged.machine) or "-S" in argv(debugged.machine)
    assert nested.refused(debugged, settings, told.append) == ""
    words = (tmp_path / "argv").read_text().split()
    assert "-S" not in words
    assert "-gdb" not in words
