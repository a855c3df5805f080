"""Snapshots of guests that booted: taken, tried after the run, given up; on guests that are no machines."""

from types import SimpleNamespace

import pytest

from sysevent import wire
from sysevent.cache import Cache
from sysevent.errors import GuestLost
from sysevent.hosts.base import Failure
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.hosts.qemu.migration import StillStopped
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.hosts.qemu.snapshots import Snapshot, SnapshotNote
from sysevent.model import KernelImage
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

HELLO = wire.Hello(wire.VERSION, 1, "6.12.1", "x86_64", "id")
SPEC = TargetSpec(name="a", arch="x86_64", where="tcg")


class Guest(QemuGuest):
    """Says hello at once; a restored one if the test wants it to."""

    opened, restores = [], True

    def __init__(self, bundle, logs, progress, snapshot=None, *, saved=False):
        super().__init__(bundle, logs, progress, snapshot, saved=saved)
        self.monitor, self.restored, self.closed, self.killed = None, snapshot is not None, False, ""
        self.opened.append(self)

    def start(self):
        pass

    def sources(self):
        return []

    def listen(self):
        return False

    def hello(self):
        return HELLO if self.restores else None

    def failure(self):
        return None if self.restores else Failure("panic")

    def loss(self, what):
        return GuestLost(f"lost: {what}")

    def kill(self, why):
        self.killed = why

    def close(self):
        self.closed = True


class Snapshots:
    """As hosts/qemu/snapshots.py."""

    def __init__(self, folder):
        self.kept, self.given_up, self.error, self.booted = {}, [], None, False
        self._state = folder / "state"

    def find(self, key):
        return Snapshot(self._state, SnapshotNote(key, 1, 0, 1, HELLO, False)) if key in self.kept else None

    def was_booted(self, key):
        return self.booted

    def take(self, key, monitor, memory, hello, *, on_console, settle):
        if self.error:
            raise self.error
        if len(self.given_up) == 2:
            return None
        self.kept[key] = hello
        return self.find(key)

    def discard(self, key):
        self.kept.pop(key, None)

    def give_up(self, key):
        self.kept.pop(key, None)
        self.given_up.append(key)


@pytest.fixture
def opened(tmp_path):
    """opened(restores, error): an opener whose first guest said hello, the incident of its snapshot, and all guests.

    package: the version of its kernel's package. booted: whether the guest was booted by an earlier run.
    """

    def make(restores=True, error=None, package="6.12.1-1", booted=False):
        class Mine(Guest):
            pass

        Mine.opened, Mine.restores = [], True
        settings = Settings(cache=tmp_path, mirror=None, keyring=None, offline=True, snapshots=True)
        kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", package, tmp_path / "bzImage", None)
        config = SimpleNamespace(accel="tcg", virtio=True, debug=False)
        found = QemuOpener(SPEC, settings, None, guest=Mine, bundle=Bundle(SPEC, kernel, config, "key"))
        found._snapshots = snapshots = Snapshots(tmp_path)
        snapshots.error, snapshots.booted = error, booted
        assert not found.restorable()
        host = found.open(tmp_path / "logs", print, restore=False)
        Mine.restores = restores
        return found, found.hello_received(host, HELLO, print), Mine.opened

    return make


def test_a_snapshot_is_tried_when_the_run_is_over(opened):
    """No verdict waits for it."""
    found, _, guests = opened()
    assert found._snapshots.kept == {"key": HELLO}
    assert [guest.restored for guest in guests] == [False]
    found.try_snapshot(2.0)
    assert [guest.restored for guest in guests] == [False, True]
    assert guests[1].closed
    assert guests[1].hello_timeout == 2.0
    assert found.restorable()
    found.try_snapshot(2.0)
    assert len(guests) == 2


def test_a_snapshot_that_cannot_be_restored_is_given_up(opened):
    """No later run finds a snapshot that hangs."""
    found, _, guests = opened(restores=False)
    found.try_snapshot(2.0)
    assert found._snapshots.kept == {}
    assert guests[1].closed
    assert found._snapshots.given_up == ["key"]


@pytest.mark.parametrize(
    ("package", "booted", "saved"), [("", False, False), ("", True, True), ("1", False, True)]
)
def test_only_a_kernel_that_will_come_back_is_saved(opened, package, booted, saved):
    """A developer's kernel is built, asked once, and built again: its verdicts do not wait for a snapshot."""
    found, incident, guests = opened(package=package, booted=booted)
    assert incident == ""
    assert bool(found._snapshots.kept) == saved
    found.try_snapshot(2.0)
    assert len(guests) == 1 + saved


def test_the_snapshot_of_a_wrong_kernel_is_not_tried(opened):
    found, _, guests = opened()
    found._snapshot = None
    found.forget(HELLO)
    found.try_snapshot(2.0)
    assert found._snapshots.kept == {}
    assert len(guests) == 1


@pytest.mark.parametrize("error", [OSError("no space left on device"), GuestLost("QEMU refused migrate")])
def test_a_snapshot_that_cannot_be_saved_is_one_incident(opened, error):
    """The guest goes on, and none is tried again in this run."""
    found, incident, guests = opened(error=error)
    assert incident == f"a: no snapshot saved: {error}"
    assert not guests[0].killed
    assert not found.restorable()
    assert found.hello_received(guests[0], HELLO, print) == ""
    assert len(guests) == 1


def test_a_guest_that_stays_stopped_is_ended(opened):
    """Its loss is the incident, and gives the reason; the next guest is booted, and not saved."""
    found, incident, guests = opened(error=StillStopped("it was stopped"))
    assert incident == ""
    assert guests[0].killed == "it was stopped"
    assert not found.restorable()


def test_a_cache_that_cannot_be_written_is_no_incident(opened, tmp_path, monkeypatch):
    """The run has said so."""
    monkeypatch.setattr(Cache, "obstacle", lambda _: "Read-only file system")
    _, incident, guests = opened(error=AssertionError("not tried"))
    assert incident == ""
    assert len(guests) == 1


@pytest.mark.parametrize("intact", [True, False])
def test_a_damaged_snapshot_does_not_count_as_one_that_cannot_be_restored(opened, monkeypatch, intact):
    """The disk is the cause, not the guest: a later run may save it again."""
    found, _, _ = opened()
    monkeypatch.setattr(Snapshot, "is_intact", lambda _: intact)
    assert found.restorable()
    text = found.forget(None)
    assert found._snapshots.kept == {}
    assert found._snapshots.given_up == (["key"] if intact else [])
    assert bool(text) == intact
