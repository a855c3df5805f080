"""Snapshots that cannot be saved, or are damaged: the guest runs on, and no file is left."""

import errno
import os
import time

import pytest
from faults import DAMAGE
from snapshot_fakes import HELLO, Monitor, rested

from sysevent.cache import Cache
from sysevent.errors import GuestLost, ImageError
from sysevent.hosts.qemu import migration


@pytest.mark.parametrize(
    "monitor",
    [
        Monitor("failed"),
        Monitor("cancelled"),
        Monitor(fails=["migrate"]),
        # Still going on when the pipe is closed: it must be cancelled, or it would stop the guest later.
        Monitor("active", "active", "cancelled"),
        Monitor(stream=bytes(1 << 16)),
    ],
    ids=["failed", "cancelled", "refused", "unfinished", "endless"],
)
def test_failed_save_leaves_no_files_and_a_running_guest(snapshots, monitor, memory, monkeypatch):
    monkeypatch.setattr(migration, "STREAM_MAX", 1000)
    with pytest.raises(GuestLost) as caught:
        snapshots.take("k", monitor, memory, HELLO, on_console=False, settle=rested)
    assert not isinstance(caught.value, migration.StillStopped)
    assert monitor.running
    assert list(snapshots.folder.iterdir()) == []


@pytest.mark.parametrize("fails", ["cont", "query-migrate"])
def test_a_guest_that_does_not_continue(snapshots, memory, monkeypatch, fails):
    """After seconds, an error says so: the guest must be ended, not asked."""
    monkeypatch.setattr(migration, "_RESUME", 0.1)
    begin = time.monotonic()
    with pytest.raises(migration.StillStopped, match=f"cannot be continued: QEMU refused {fails}"):
        snapshots.take("k", Monitor(fails=[fails]), memory, HELLO, on_console=False, settle=rested)
    assert time.monotonic() - begin < 1
    assert list(snapshots.folder.iterdir()) == []


def test_a_qemu_that_writes_nothing(snapshots, memory, monkeypatch):
    """It has a deadline, and the guest runs on."""

    class Silent(Monitor):
        def execute(self, command, /, **arguments):
            return {} if command == "migrate" else super().execute(command, **arguments)

    monkeypatch.setattr(migration, "_SAVE", 0.1)
    monitor = Silent("cancelled")
    with pytest.raises(GuestLost, match=r"did not save the guest within 0\.1 s"):
        snapshots.take("k", monitor, memory, HELLO, on_console=False, settle=rested)
    assert monitor.said[-1] == "cont"


def test_a_full_disk_is_seen_before_the_guest_is_stopped(snapshots, memory, monkeypatch):
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    monitor = Monitor()
    with pytest.raises(OSError, match="has less than the needed 4 MiB"):
        snapshots.take("k", monitor, memory, HELLO, on_console=False, settle=rested)
    assert monitor.said == []


@pytest.mark.parametrize("failing", [1, 2], ids=["the memory", "the stream"])
def test_a_disk_that_fills_up_meanwhile(snapshots, memory, monkeypatch, failing):
    """The guest runs on, and no file is left."""
    calls, write = [], os.pwrite

    def pwrite(*arguments):
        calls.append(arguments)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments)

    monkeypatch.setattr(os, "pwrite", pwrite)
    monitor = Monitor()
    with pytest.raises(OSError, match="No space left"):
        snapshots.take("k", monitor, memory, HELLO, on_console=False, settle=rested)
    assert monitor.running
    assert list(snapshots.folder.iterdir()) == []


def test_a_disk_without_space_for_the_note(snapshots, memory, monkeypatch):
    monkeypatch.setattr(Cache, "write", lambda *_: (_ for _ in ()).throw(ImageError("full")))
    with pytest.raises(OSError, match=r"k\.json cannot be written"):
        snapshots.take("k", Monitor(), memory, HELLO, on_console=False, settle=rested)
    assert list(snapshots.folder.iterdir()) == []


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_a_snapshot_in_a_read_only_cache(snapshots, take, monkeypatch, error):
    """QEMU gets a copy in memory, because it opens the file for writing."""
    take(snapshots, "k")
    found, real = snapshots.find("k"), os.open

    def refuse(path, flags, *more):
        if path == found.state and flags & os.O_RDWR:
            raise OSError(error, os.strerror(error))
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    memory = found.open()
    try:
        assert os.pread(memory, 4 << 20, 0) == found.state.read_bytes()
        assert os.fstat(memory).st_nlink == 0
    finally:
        os.close(memory)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", ["k.state", "k.json"])
def test_verify_deletes_damaged_snapshots(snapshots, take, file, damage):
    """Whichever of its files is damaged; an unfinished one is left to the process that writes it."""
    for name in ("k", "other"):
        take(snapshots, name)
    (snapshots.folder / ".other.state.draft").touch()
    assert list(snapshots.discard_damaged(print)) == []
    DAMAGE[damage](snapshots.folder / file)
    expected = [] if (damage, file) == ("missing", "k.state") else [snapshots.folder / "k.state"]
    assert list(snapshots.discard_damaged(print)) == expected
    assert snapshots.find("k") is None
    assert snapshots.find("other")
