"""Snapshots on disk: completeness, the size limit, and their keys."""

import os
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from snapshot_fakes import HELLO, PAGE, Monitor, rested

from sysevent.arches import ARCHITECTURES
from sysevent.errors import ImageError
from sysevent.hosts.qemu.bundle import snapshot_key
from sysevent.qemu.argv import GuestConfig


def test_taken_and_found(snapshots, memory):
    monitor = Monitor()
    found = snapshots.take("k", monitor, memory, HELLO, on_console=True, settle=rested)
    # The guest continues.
    assert monitor.running
    assert snapshots.find("k") == found
    assert found.stream() == b"stream"
    content = found.state.read_bytes()
    assert content[PAGE : PAGE + 4096] == b"page" * 1024
    assert content[2 << 20 :] == b"stream"
    assert content.count(0) == (2 << 20) - 4096
    assert found.note.memory == 2
    # Zeros are holes.
    assert found.state.stat().st_blocks * 512 < 1 << 20
    assert found.note.hello == HELLO
    assert found.note.on_console
    assert {path.name for path in snapshots.folder.iterdir()} == {"k.state", "k.json"}


def test_not_found(snapshots):
    assert snapshots.find("k") is None


@pytest.mark.parametrize("damage", ["short", "no stream", "no note", "bad note", "another's"])
def test_incomplete_snapshot_is_not_found(snapshots, damage, take):
    take(snapshots, "k")
    state, note = snapshots.folder / "k.state", snapshots.folder / "k.json"
    match damage:
        case "short":
            state.write_bytes(b"str")
        case "no stream":
            state.unlink()
        case "no note":
            note.unlink()
        case "bad note":
            note.write_bytes(b"{")
        case "another's":
            take(snapshots, "other")
            state.write_bytes((snapshots.folder / "other.state").read_bytes())
            note.write_bytes((snapshots.folder / "other.json").read_bytes())
    assert snapshots.find("k") is None


def test_damage_that_keeps_the_size(snapshots, take):
    """is_intact() notices it; find() does not read the state file."""
    take(snapshots, "k")
    found = snapshots.find("k")
    assert found.is_intact()
    with found.state.open("r+b") as file:
        os.pwrite(file.fileno(), b"page" * 1024, PAGE + 4096)
    assert not snapshots.find("k").is_intact()


def test_discard(snapshots, take):
    take(snapshots, "k")
    snapshots.discard("k")
    snapshots.discard("k")
    assert list(snapshots.folder.iterdir()) == []


def test_given_up(snapshots, take, memory):
    """After two failed restores no snapshot is taken of that guest; each would cost every run seconds."""
    take(snapshots, "k")
    snapshots.give_up("k")
    assert snapshots.find("k") is None
    take(snapshots, "k")
    assert snapshots.find("k")
    snapshots.give_up("k")
    monitor = Monitor()
    assert not snapshots.take("k", monitor, memory, HELLO, on_console=False, settle=rested)
    assert monitor.said == []
    assert snapshots.find("k") is None
    take(snapshots, "other")
    assert snapshots.find("other")


def test_given_up_for_a_day(snapshots, take, memory):
    """A guest that was saved on a busy machine may be restorable tomorrow."""
    for _ in range(2):
        take(snapshots, "k")
        snapshots.give_up("k")
    age(snapshots, "k", timedelta(days=1, hours=1).total_seconds())
    take(snapshots, "k")
    assert snapshots.find("k")
    snapshots.give_up("k")
    assert not snapshots.take("k", Monitor(), memory, HELLO, on_console=False, settle=rested)


def test_given_up_in_a_copy_of_the_cache(snapshots, tmp_path):
    """Copies may share files by hard links."""
    snapshots.folder.mkdir()
    snapshots.give_up("k")
    copy = tmp_path / "copy"
    copy.hardlink_to(snapshots.folder / "k.bad")
    snapshots.give_up("k")
    assert len(copy.read_bytes()) == 1
    assert len((snapshots.folder / "k.bad").read_bytes()) == 2


def test_booted_before(snapshots):
    assert not snapshots.was_booted("k")
    assert snapshots.was_booted("k")
    assert not snapshots.was_booted("other")


def age(snapshots, name, seconds):
    for path in snapshots.folder.glob(f"{name}.*"):
        os.utime(path, (time.time() - seconds,) * 2)


def disk_usage(snapshots, name):
    """Bytes of a state file on disk, which has holes."""
    return (snapshots.folder / f"{name}.state").stat().st_blocks * 512


def test_prune_keeps_the_most_recently_used(snapshots, take):
    for name, seconds in (("old", 300), ("newer", 200), ("newest", 100)):
        take(snapshots, name)
        age(snapshots, name, seconds)
    # Marks it as used.
    assert snapshots.find("old")
    one = disk_usage(snapshots, "old")
    assert snapshots.prune(limit=2 * one) == (1, one)
    assert {path.stem for path in snapshots.folder.iterdir()} == {"old", "newest"}


def test_prune_deletes_unused(snapshots, take):
    take(snapshots, "a")
    age(snapshots, "a", 7200)
    take(snapshots, "b")
    one = disk_usage(snapshots, "a")
    assert snapshots.prune(unused=timedelta(hours=1)) == (1, one)
    assert {path.name for path in snapshots.folder.iterdir()} == {"b.state", "b.json"}


def test_prune_keeps_recent_drafts(snapshots, take):
    take(snapshots, "a")
    draft = snapshots.folder / ".a.state.xyz"
    draft.write_bytes(b"half")
    assert snapshots.prune() == (0, 0)
    os.utime(draft, (time.time() - 3600,) * 2)
    assert snapshots.prune() == (1, 4)


def test_prune_without_snapshots(snapshots):
    assert snapshots.prune() == (0, 0)


@pytest.fixture
def config(tmp_path):
    kernel = tmp_path / "elsewhere" / "Image"
    kernel.parent.mkdir()
    kernel.write_bytes(b"kernel")
    return GuestConfig(
        ARCHITECTURES["arm64"], "tcg", "", 512, kernel, tmp_path / "cache" / "initramfs" / "hash.cpio"
    )


def test_same_key(config, qemu):
    assert snapshot_key(config, "kernel") == snapshot_key(msgspec.structs.replace(config), "kernel")


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 256},
        {"cpu": "cortex-a57"},
        {"append": "x=y"},
        {"virtio": False},
        {"accel": "kvm"},
        {"initramfs": Path("/other.cpio")},
        {"arch": ARCHITECTURES["riscv64"]},
    ],
)
def test_another_key(config, change, qemu):
    assert snapshot_key(msgspec.structs.replace(config, **change), "kernel") != snapshot_key(config, "kernel")


def test_a_kernel_is_identified_by_its_content(config, tmp_path, qemu):
    """Not by its path, size or time."""
    before = snapshot_key(config, "kernel")
    assert snapshot_key(config, "lernek") != before
    os.utime(config.kernel, (1, 1))
    assert snapshot_key(config, "kernel") == before
    assert snapshot_key(msgspec.structs.replace(config, kernel=tmp_path / "moved"), "kernel") == before


@pytest.fixture
def qemu(tmp_path, monkeypatch):
    """A QEMU with its accelerators and firmware; nothing of it is executed."""
    files = {}
    for name in (
        "bin/qemu-system-aarch64",
        "bin/qemu-system-riscv64",
        "lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
        "share/qemu/opensbi.bin",
        "share/seabios/bios-256k.bin",
        "share/qemu/qboot.rom",
    ):
        files[name] = tmp_path / "usr" / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_bytes(b"content of " + name.encode())
        files[name].chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "usr" / "bin"))
    return files


@pytest.mark.parametrize(
    "name",
    [
        "bin/qemu-system-aarch64",
        "lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
        "share/qemu/opensbi.bin",
        "share/seabios/bios-256k.bin",
    ],
)
def test_another_qemu_of_the_same_size_and_time(config, qemu, name):
    """As a package manager installs a rebuilt one."""
    before, path = snapshot_key(config, "kernel"), qemu[name]
    status, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + b"X")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = snapshot_key(config, "kernel")
    assert after != before
    path.write_bytes(content)
    assert snapshot_key(config, "kernel") == before


def test_another_key_for_other_firmware(config, qemu, tmp_path):
    path = tmp_path / "firmware"
    own = msgspec.structs.replace(config, firmware=path)
    keys = set()
    for content in (b"one", b"two"):
        path.write_bytes(content)
        keys.add(snapshot_key(own, "kernel"))
    assert len(keys) == 2


def test_firmware_that_cannot_be_read(config, tmp_path):
    with pytest.raises(ImageError, match=r"cannot read .*/absent: No such file"):
        snapshot_key(msgspec.structs.replace(config, firmware=tmp_path / "absent"), "kernel")
