"""Locks of this machine: slots, static hosts, waiting, and hostile files."""

import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from sysevent import settings
from sysevent.errors import NotLeased
from sysevent.targets.leases import locks
from sysevent.targets.leases.lease import Leases
from sysevent.targets.leases.locks import Locks
from sysevent.targets.spec import TargetSpec

GUEST = TargetSpec(name="guest", arch="arm64", where="tcg", lease=1)
RPI = TargetSpec(name="rpi", arch="arm64", where="ssh", address="rpi.lab", kernel="", lease=1)
LOCAL = TargetSpec(name="local", arch="x86_64", where="local", kernel="", lease=1)

TAKES = """
import sys, time
from pathlib import Path
from sysevent.targets.leases.locks import Locks
lock = Locks(Path(sys.argv[1])).take(sys.argv[2], {})
assert lock
print("taken", flush=True)
time.sleep(60)
"""


def leases(folder, **more):
    return Leases(msgspec.structs.replace(settings.from_environment(), locks=folder), **more)


@pytest.fixture
def other(tmp_path):
    """other(name): start another process that takes a lock."""
    started = []

    def start(name):
        process = subprocess.Popen(
            [sys.executable, "-c", TAKES, str(tmp_path), name], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "taken\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("spec", [RPI, LOCAL], ids=lambda spec: spec.name)
def test_one_run_at_a_time(tmp_path, spec):
    first, second = leases(tmp_path), leases(tmp_path)
    lines = []
    with first.take(spec, lines.append) as lease:
        assert lease.spec is spec
        lease.check()
        with pytest.raises(
            NotLeased, match=rf"{spec.name}: it is not free within 1 s.*pid {os.getpid()} of "
        ):
            second.take(spec, lines.append)
        assert len(lines) == 1
        assert "waiting up to 1 s" in lines[0]
        assert f"pid {os.getpid()}" in second.state(spec)
    assert second.state(spec) == "free"
    second.take(spec, lines.append).release()
    assert len(lines) == 1


def test_other_addresses_are_other_machines(tmp_path):
    """So are other ports: a lab may have several machines at one address. Case does not matter."""
    held = leases(tmp_path).take(RPI, print)
    for changes in ({"address": "rpi2.lab"}, {"port": 2222}):
        leases(tmp_path).take(msgspec.structs.replace(RPI, **changes), print).release()
    assert leases(tmp_path).try_take(msgspec.structs.replace(RPI, name="b", address="RPI.lab")) is None
    held.release()


@pytest.mark.parametrize("address", ["fe80::1%eth0", "../../etc/passwd", "a/b", "user@host"])
def test_any_address_gives_a_file_in_the_directory(tmp_path, address):
    folder = tmp_path / "locks"
    with leases(folder).take(msgspec.structs.replace(RPI, address=address), print):
        assert [path.parent for path in tmp_path.rglob("*.lock")] == [folder]


def test_slots_are_shared_by_all_runs(tmp_path):
    runs = [leases(tmp_path, slots=2) for _ in range(3)]
    held = [run.take(GUEST, print) for run in runs[:2]]
    assert runs[2].try_take(GUEST) is None
    assert runs[2].state(GUEST) == "0 of 2 slots free"
    with pytest.raises(NotLeased, match="no slot for a guest on this machine is free within 1 s"):
        runs[2].take(GUEST, lambda _: None)
    held[0].release()
    held[0].release()
    runs[2].take(GUEST, print)


def test_a_run_releases_its_leases_before_it_waits(tmp_path):
    """Two runs that each have one slot and want another would wait for each other without end."""
    one = leases(tmp_path, slots=2, waiting=lambda: held_by_one.release())
    two = leases(tmp_path, slots=2, waiting=lambda: held_by_two.release())
    held_by_one, held_by_two = one.try_take(GUEST), two.try_take(GUEST)
    begin = time.monotonic()
    with one.take(GUEST, print), two.take(GUEST, print):
        assert time.monotonic() - begin < 1


def test_the_lock_of_a_killed_run_is_free(tmp_path, other):
    """The kernel drops its flock, and the note in the file is ignored."""
    process = other("host-rpi.lab")
    assert f"pid {process.pid}" in leases(tmp_path).state(RPI)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert leases(tmp_path).state(RPI) == "free"
    leases(tmp_path).take(RPI, print).release()


def test_waiting_ends_with_the_other_process(tmp_path, other):
    process = other("host-rpi.lab")
    lines = []

    def progress(line):
        lines.append(line)
        process.kill()

    lease = leases(tmp_path).take(msgspec.structs.replace(RPI, lease=30), progress)
    assert lease.waited < 10
    assert f"pid {process.pid}" in lines[0]
    lease.release()


def test_children_do_not_inherit_the_lock(tmp_path):
    """A QEMU that ends a moment after its run must not keep a slot."""
    lease = leases(tmp_path).take(RPI, print)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    lease.release()
    try:
        leases(tmp_path).take(RPI, print).release()
    finally:
        child.kill()
        child.wait(10)


def test_a_lease_takes_little_time(tmp_path):
    run = leases(tmp_path)
    run.take(GUEST, print).release()
    begin = time.perf_counter()
    for _ in range(100):
        run.take(GUEST, print).release()
    # 0.00006 s on the machine where it was measured.
    assert (time.perf_counter() - begin) / 100 < 0.005


def test_control_characters_in_notes_are_replaced(tmp_path):
    found = Locks(tmp_path)
    lock = found.take("x", {})
    for text in (
        b'{"pid": "\\u001b[2J", "user": "x\\n"}',
        b"\xff\0",
        b"[1]",
        b"",
        b'{"command": "' + b"a" * 9000,
    ):
        lock.path.write_bytes(text)
        assert found.holder("x").isprintable()
        assert len(found.holder("x")) < 200


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo", "directory"])
def test_links_and_special_files_are_rejected(tmp_path, kind):
    """Any user can put them into the shared directory."""
    victim, path = tmp_path / "victim", tmp_path / "local.lock"
    victim.write_text("precious")
    match kind:
        case "symlink":
            path.symlink_to(victim)
        case "hardlink":
            path.hardlink_to(victim)
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
    with pytest.raises(NotLeased, match=r"cannot use .*local\.lock.*set SYSEVENT_LOCKS"):
        leases(tmp_path).take(LOCAL, print)
    assert Locks(tmp_path).holder("local") == "another process"
    assert victim.read_text() == "precious"


def test_all_users_can_write_to_the_directory(tmp_path):
    """Whatever the umask of the user who created it is."""
    folder = tmp_path / "locks"
    before = os.umask(0o077)
    try:
        leases(folder).take(LOCAL, print).release()
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert (folder / "local.lock").stat().st_mode & 0o777 == 0o666


def test_a_directory_that_cannot_be_created(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotLeased, match="set SYSEVENT_LOCKS to a directory"):
        leases(tmp_path / "file" / "locks").take(LOCAL, print)


def test_the_default_directory_does_not_depend_on_the_user(monkeypatch):
    before = locks.directory()
    for name in ("TMPDIR", "XDG_RUNTIME_DIR", "HOME", "USER"):
        monkeypatch.setenv(name, "/elsewhere")
    assert locks.directory() == before
