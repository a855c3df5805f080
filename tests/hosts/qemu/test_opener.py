"""Snapshots of guests that booted: taken, tried at once, given up; on guests that are no machines."""

from types import SimpleNamespace

import pytest

from sysevent import wire
from sysevent.errors import GuestLost
from sysevent.hosts.base import Failure
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.hosts.qemu.snapshots import Snapshot, SnapshotNote
from sysevent.model import KernelImage
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

HELLO = wire.Hello(2, 1, "6.12.1", "x86_64", "id")
SPEC = TargetSpec(name="a", arch="x86_64", where="tcg")


class Guest(QemuGuest):
    """Says hello at once; a restored one if the test wants it to."""

    opened, restores = [], True

    def __init__(self, bundle, logs, progress, snapshot=None, *, saved=False):
        super().__init__(bundle, logs, progress, snapshot, saved=saved)
        self.monitor, self.restored, self.closed = None, snapshot is not None, False
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

    def close(self):
        self.closed = True


class Snapshots:
    """As hosts/qemu/snapshots.py."""

    def __init__(self, folder):
        self.kept, self.given_up, self.error = {}, [], None
        self._state = folder / "state"

    def find(self, key):
        return Snapshot(self._state, SnapshotNote(key, 1, 0, 1, HELLO, False)) if key in self.kept else None

    def take(self, key, monitor, memory, hello, *, on_console):
        if self.error:
            raise self.error
        if len(self.given_up) == 2:
            return False
        self.kept[key] = hello
        return True

    def give_up(self, key):
        self.kept.pop(key, None)
        self.given_up.append(key)


@pytest.fixture
def opened(tmp_path):
    """opened(restores): a guest that booted and said hello, its snapshots, and its progress; and all guests."""

    def make(restores=True, error=None):
        class Mine(Guest):
            pass

        Mine.opened, Mine.restores = [], True
        settings = Settings(cache=tmp_path, mirror=None, keyring=None, offline=True, snapshots=True)
        kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", "", tmp_path / "bzImage", None)
        config = SimpleNamespace(accel="tcg", virtio=True, debug=False)
        found = QemuOpener(SPEC, settings, None, guest=Mine, bundle=Bundle(SPEC, kernel, config, "key"))
        found._snapshots, told = Snapshots(tmp_path), []
        found._snapshots.error = error
        assert not found.restorable()
        host = found.open(tmp_path / "logs", told.append, restore=False)
        Mine.restores = restores
        found.hello_received(host, HELLO, told.append)
        return found, told, Mine.opened

    return make


def test_a_snapshot_is_tried_when_it_is_taken(opened):
    found, _, guests = opened()
    assert found._snapshots.kept == {"key": HELLO}
    assert [guest.restored for guest in guests] == [False, True]
    assert [guest.closed for guest in guests] == [False, True]
    assert found.restorable()


def test_a_snapshot_that_cannot_be_restored_is_taken_twice(opened):
    """The run at hand goes on with the guest that booted, and no later run finds a snapshot that hangs."""
    found, _, guests = opened(restores=False)
    assert found._snapshots.kept == {}
    assert [guest.restored for guest in guests] == [False, True, True]
    assert [guest.closed for guest in guests] == [False, True, True]
    assert found._snapshots.given_up == ["key", "key"]


@pytest.mark.parametrize("error", [OSError("no space left on device"), GuestLost("QEMU refused migrate")])
def test_no_snapshot_is_no_incident(opened, error):
    found, told, _ = opened(error=error)
    assert found._snapshots.kept == {}
    assert told[-1] == f"a: no snapshot saved: {error}"
