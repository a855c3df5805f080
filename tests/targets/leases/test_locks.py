"""Locks of this machine: slots, static hosts, and who waits for whom."""

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
    """other(name): another process that has a lock."""
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
    mine, theirs = leases(tmp_path), leases(tmp_path)
    said = []
    with mine.take(spec, said.append) as lease:
        assert lease.spec is spec
        lease.check()
        with pytest.raises(
            NotLeased, match=rf"{spec.name}: it is not free within 1 s.*pid {os.getpid()} of "
        ):
            theirs.take(spec, said.append)
        assert len(said) == 1
        assert "waiting up to 1 s" in said[0]
        assert f"pid {os.getpid()}" in theirs.state(spec)
    assert theirs.state(spec) == "free"
    theirs.take(spec, said.append).release()
    assert len(said) == 1


def test_other_addresses_are_other_machines(tmp_path):
    """So are other ports: a lab has several machines behind one address. Case tells nothing."""
    held = leases(tmp_path).take(RPI, print)
    for changes in ({"address": "rpi2.lab"}, {"port": 2222}):
        leases(tmp_path).take(msgspec.structs.replace(RPI, **changes), print).release()
    assert leases(tmp_path).try_take(msgspec.structs.replace(RPI, name="b", address="RPI.lab")) is None
    held.release()


@pytest.mark.parametrize("address", ["fe80::1%eth0", "../../etc/passwd", "a/b", "user@host"])
def test_any_address_is_one_file_of_the_directory(tmp_path, address):
    folder = tmp_path / "locks"
    with leases(folder).take(msgspec.structs.replace(RPI, address=address), print):
        assert [path.parent for path in tmp_path.rglob("*.lock")] == [folder]


def test_slots_are_counted_over_all_runs(tmp_path):
    runs = [leases(tmp_path, slots=2) for _ in range(3)]
    held = [run.take(GUEST, print) for run in runs[:2]]
    assert runs[2].try_take(GUEST) is None
    assert runs[2].state(GUEST) == "0 of 2 slots free"
    with pytest.raises(NotLeased, match="no slot for a guest of this machine is free within 1 s"):
        runs[2].take(GUEST, lambda _: None)
    held[0].release()
    held[0].release()
    runs[2].take(GUEST, print)


def test_who_waits_is_told_to_let_go_before_it_waits(tmp_path):
    """Two runs that each have one slot and want another would wait for each other for ever."""
    one = leases(tmp_path, slots=2, waiting=lambda: held_by_one.release())
    two = leases(tmp_path, slots=2, waiting=lambda: held_by_two.release())
    held_by_one, held_by_two = one.try_take(GUEST), two.try_take(GUEST)
    begin = time.monotonic()
    with one.take(GUEST, print), two.take(GUEST, print):
        assert time.monotonic() - begin < 1


def test_a_killed_run_leaves_nothing(tmp_path, other):
    """The kernel drops its flock; its note is nobody's."""
    process = other("host-rpi.lab")
    assert f"pid {process.pid}" in leases(tmp_path).state(RPI)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert leases(tmp_path).state(RPI) == "free"
    leases(tmp_path).take(RPI, print).release()


def test_waits_until_the_other_has_ended(tmp_path, other):
    process = other("host-rpi.lab")
    said = []

    def progress(line):
        said.append(line)
        process.kill()

    lease = leases(tmp_path).take(msgspec.structs.replace(RPI, lease=30), progress)
    assert lease.waited < 10
    assert f"pid {process.pid}" in said[0]
    lease.release()


def test_children_do_not_keep_it(tmp_path):
    """A QEMU that lives a moment longer than its run must not keep a slot."""
    lease = leases(tmp_path).take(RPI, print)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    lease.release()
    try:
        leases(tmp_path).take(RPI, print).release()
    finally:
        child.kill()
        child.wait(10)


def test_it_costs_next_to_nothing(tmp_path):
    run = leases(tmp_path)
    run.take(GUEST, print).release()
    begin = time.perf_counter()
    for _ in range(100):
        run.take(GUEST, print).release()
    assert (time.perf_counter() - begin) / 100 < 0.005  # 0.00006 on the machine where it was measured


def test_what_others_write_does_not_reach_the_terminal(tmp_path):
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
def test_what_is_no_plain_file_is_refused(tmp_path, kind):
    """Any user may plant something in the directory that all share."""
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
    assert Locks(tmp_path).holder("local") == "somebody"
    assert victim.read_text() == "precious"


def test_the_directory_is_everybody_s(tmp_path):
    """Whatever the umask of who came first is."""
    folder = tmp_path / "locks"
    before = os.umask(0o077)
    try:
        leases(folder).take(LOCAL, print).release()
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert (folder / "local.lock").stat().st_mode & 0o777 == 0o666


def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotLeased, match="set SYSEVENT_LOCKS to a directory"):
        leases(tmp_path / "file" / "locks").take(LOCAL, print)


def test_the_default_directory_does_not_depend_on_who_asks(monkeypatch):
    before = locks.directory()
    for name in ("TMPDIR", "XDG_RUNTIME_DIR", "HOME", "USER"):
        monkeypatch.setenv(name, "/elsewhere")
    assert locks.directory() == before
