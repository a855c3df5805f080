"""The check for nested KVM: a guest must create a VM, and the result is cached."""

import time

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm
from sysevent.hosts.qemu import bundle as bundle_module
from sysevent.hosts.qemu import cpu_trial, nested, opener
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.model import KernelImage
from sysevent.qemu.accel import Accel
from sysevent.qemu.argv import GuestConfig, argv
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

AUTO = TargetSpec(name="here", arch="x86_64", where="auto")
ANSWERS = "greet(channel); kind, abi, number, body = request(channel);"


@pytest.fixture
def settings(tmp_path):
    return Settings(cache=tmp_path / "cache", mirror=None, keyring=None, offline=True, snapshots=True)


@pytest.fixture
def messages():
    return []


@pytest.fixture
def bundle(tmp_path):
    """bundle(key): the bundle of a guest under KVM."""
    kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", "", tmp_path / "bzImage", None)
    config = GuestConfig(ARCHITECTURES["x86_64"], "kvm", "", 64, kernel.image, tmp_path / "initramfs")
    return lambda key="key": Bundle(AUTO, kernel, config, key)


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
def test_guest_must_create_a_vm(settings, stub, bundle, messages, monkeypatch, script, words):
    """Every failure is an obstacle, found within the deadline, and only once."""
    monkeypatch.setattr(nested, "_BOOT", 1)
    stub(f"    {script}\n")
    begin = time.monotonic()
    found = nested.kvm_obstacle(bundle(), settings, messages.append)
    assert time.monotonic() - begin < 5
    assert words in found
    assert bool(words) == bool(found)
    assert nested.kvm_obstacle(bundle(), settings, messages.append) == found
    assert len(messages) == 1
    nested.kvm_obstacle(bundle("another kernel"), settings, messages.append)
    assert len(messages) == 2


def test_how_long_a_result_is_cached(settings, bundle, messages, monkeypatch, tmp_path):
    """A success is valid until the machine is rebooted, a failure for an hour."""
    results = ["spins", "", "after a reboot", ""]
    monkeypatch.setattr(nested, "_try", lambda _: results.pop(0))
    assert nested.kvm_obstacle(bundle(), settings, messages.append) == "spins"
    assert nested.kvm_obstacle(bundle(), settings, messages.append) == "spins"
    late = time.time() + nested._STALE + 1
    monkeypatch.setattr(nested.time, "time", lambda: late)
    assert nested.kvm_obstacle(bundle(), settings, messages.append) == ""
    monkeypatch.setattr(nested.time, "time", lambda: 10 * late)
    assert nested.kvm_obstacle(bundle(), settings, messages.append) == ""
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(nested, "_BOOT_ID", tmp_path / "boot_id")
    assert nested.kvm_obstacle(bundle(), settings, messages.append) == "after a reboot"


@pytest.fixture
def prepared(settings, tmp_path, messages, monkeypatch):
    """prepared(row, starts, nests): the prepared QemuOpener of a row.

    starts and nests are the obstacles that QEMU and its guest report for KVM; "": none.
    """
    # This machine's QEMU may be one that gets a part of its CPU wrong.
    monkeypatch.setattr(cpu_trial, "works", lambda *_: True)
    init = tmp_path / "init"
    init.touch()
    program = opener.programs.Program(init, "", b"")
    monkeypatch.setattr(opener.programs, "init", lambda *_: program)
    monkeypatch.setattr(opener.programs, "vmm", lambda *_: program)
    kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", "", init, None)
    monkeypatch.setattr(opener.resolve, "find", lambda *_: kernel)
    monkeypatch.setattr(bundle_module.vmlinux, "kernel_file", lambda *_: init)
    monkeypatch.setattr(bundle_module.initramfs, "build", lambda *_: init)

    def make(row, starts="", nests=""):
        def choose(where, arch, cpu=""):
            if where == "kvm" and starts:
                raise NoKvm(starts)
            return (
                Accel("tcg", "" if where == "tcg" else starts) if where == "tcg" or starts else Accel("kvm")
            )

        monkeypatch.setattr(bundle_module, "choose", choose)
        monkeypatch.setattr(nested, "kvm_obstacle", lambda *_: nests)
        found = QemuOpener(msgspec.structs.replace(AUTO, **row), settings, None)
        found.prepare(messages.append)
        return found

    return make


@pytest.mark.parametrize(
    ("where", "starts", "nests", "runs", "fallback"),
    [
        ("auto", "", "", "kvm", ""),
        ("auto", "aborts", "", "tcg", "aborts"),
        ("auto", "", "does not nest", "tcg", "does not nest"),
        # The run itself shows it.
        ("kvm", "", "does not nest", "kvm", ""),
        ("tcg", "aborts", "does not nest", "tcg", ""),
    ],
)
def test_accelerator(prepared, messages, where, starts, nests, runs, fallback):
    """Command line, fallback and snapshots fit the accelerator; the reason for TCG is reported once."""
    found = prepared({"where": where}, starts, nests)
    assert found._bundle.fallback == fallback
    command = argv(found._bundle.config)
    assert command[command.index("-accel") + 1] == runs
    assert command[command.index("-cpu") + 1] == ("host" if runs == "kvm" else "max,-cx16")
    assert (found._snapshots is None) == (runs == "kvm")
    assert messages == ([f"here: TCG, not KVM: {fallback}"] if fallback else [])


def test_keys_differ_by_accelerator(prepared):
    """Snapshots under KVM and under TCG have different keys."""
    assert prepared({})._bundle.key != prepared({"where": "tcg"})._bundle.key
    assert prepared({}, nests="does not nest")._bundle.key == prepared({"where": "tcg"})._bundle.key


@pytest.mark.parametrize(
    ("cpu", "becomes"), [("host,-x2apic", "max,-cx16"), ("host", "max,-cx16"), ("EPYC", "EPYC")]
)
@pytest.mark.parametrize("reason", [{"starts": "aborts"}, {"nests": "does not nest"}])
def test_cpu_host_becomes_the_default_under_tcg(prepared, cpu, becomes, reason):
    """QEMU rejects -cpu host without KVM; other models stay."""
    command = argv(prepared({"cpu": cpu}, **reason)._bundle.config)
    assert command[command.index("-cpu") + 1] == becomes


def test_trial_does_not_wait_for_a_debugger(settings, stub, bundle, messages, tmp_path):
    """The trial runs without --gdb, which would stop it."""
    log = f"open({str(tmp_path / 'argv')!r}, 'w').write(' '.join(sys.argv))"
    stub(f"    {log}; {ANSWERS} channel.sendall(reply(number)); forever()\n")
    plain = bundle()
    debugged = msgspec.structs.replace(plain, config=msgspec.structs.replace(plain.config, debug=True))
    assert "-gdb" in argv(debugged.config) or "-S" in argv(debugged.config)
    assert nested.kvm_obstacle(debugged, settings, messages.append) == ""
    words = (tmp_path / "argv").read_text().split()
    assert "-S" not in words
    assert "-gdb" not in words
