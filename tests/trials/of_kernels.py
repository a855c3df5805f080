"""Faults of the kernel that a user gives, and of its command line."""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from sysevent.cache import Cache
from sysevent.hosts.qemu.snapshots import SnapshotNote
from sysevent.images.kernel import identity
from trials.catalogue import fault
from trials.trial import Outcome, Trial

_DEB = b"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"


def _place(trial: Trial) -> Path:
    """The path of a kernel of the user's own, without what the other one of two faults has put there."""
    path = trial.folder / "Image"
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def _given(name: str, how: str, make: Callable[[Path, bytes, random.Random], object]) -> None:
    """Register a fault: make writes something to a path in the place of a kernel, whose bytes it is given."""

    @fault(name, f"`--kernel` is {how}.", same=False)
    def inject(trial: Trial, chance: random.Random) -> None:
        path = _place(trial)
        sound = next(iter(trial.cache.glob("kernels/*arm64*/vmlinuz")))
        make(path, sound.read_bytes(), chance)
        trial.kernel = str(path)


def _nested(path: Path, data: bytes, _chance: random.Random) -> None:
    data = data[: 1 << 20]
    for _ in range(6):
        data = gzip.compress(data, 1)
    path.write_bytes(data)


def _sparse(path: Path, data: bytes, _chance: random.Random) -> None:
    with path.open("wb") as file:
        file.write(data[:64])
        file.truncate(8 << 30)


def _cut(path: Path, data: bytes, chance: random.Random) -> None:
    path.write_bytes(data[: chance.randrange(1 << 20, len(data) - 1)])


_given("kernel truncated", "a kernel that is cut at a random length", _cut)
_given("kernel is a header", "the first 4096 bytes of a kernel", lambda p, d, c: p.write_bytes(d[:4096]))
_given("kernel empty", "an empty file", lambda p, d, c: p.write_bytes(b""))
_given("kernel is text", "a text file", lambda p, d, c: p.write_text("a kernel\n" * 1000))
_given("kernel is noise", "a file of random bytes", lambda p, d, c: p.write_bytes(c.randbytes(1 << 20)))
_given("kernel is a directory", "a directory", lambda p, d, c: p.mkdir())
_given("kernel is a FIFO", "a FIFO without a writer", lambda p, d, c: os.mkfifo(p))
_given("kernel is /dev/zero", "a link to /dev/zero", lambda p, d, c: p.symlink_to("/dev/zero"))
_given("kernel missing", "the path of no file", lambda p, d, c: None)
_given(
    "kernel zboot cut",
    "the first 8 bytes of an EFI zboot image",
    lambda p, d, c: p.write_bytes(b"MZ\0\0zimg"),
)
_given("kernel nested", "packed by gzip six times", _nested)
_given(
    "kernel is a bomb",
    "6 GB of zeros, packed by gzip",
    lambda p, d, c: p.write_bytes(gzip.compress(bytes(64 << 20), 1) * 96),
)
_given("kernel is a package", "a .deb", lambda p, d, c: p.write_bytes(_DEB + d))
_given("kernel is huge", "a file of 8 GB", _sparse)


def _with_words(name: str, how: str, words: str, *, slow: bool = False) -> None:
    """Register a fault: a kernel with these words on its command line."""

    @fault(name, how, same=False, slow=slow)
    def inject(trial: Trial, chance: random.Random) -> None:
        path = trial.folder / "targets.toml"
        path.write_text(
            '[[target]]\nname = "arm64-own"\narch = "arm64"\nwhere = "tcg"\nkernel = "debian:6.12"\n'
            f'append = "{words}"\nboot = 20\n'
        )
        trial.target = "arm64-own"
        trial.options += ["--targets", str(path)]


_with_words("kernel panics", "The kernel's init does not exist.", "rdinit=/missing init=/missing")
_with_words("KVM disabled", "The kernel's command line has kvm-arm.mode=none.", "kvm-arm.mode=none")
_RELEASE = re.compile(rb"Linux version (\S+) ")


def _own(trial: Trial) -> Path:
    """Let the run boot a copy of the kernel that the user has, and return its path."""
    path = _place(trial)
    shutil.copyfile(next(iter(trial.cache.glob("kernels/6.12*arm64*/vmlinuz"))), path)
    trial.kernel = str(path)
    return path


def _alter(path: Path, letter: bytes = b"X") -> None:
    """Give a kernel another release and build ID. Its size and times stay: as after `cp -p` of another build."""
    status, data = path.stat(), path.read_bytes()
    found = _RELEASE.search(data)
    assert found
    release = found[1]
    # Not in vermagic, which the kernel compares with that of its modules.
    for end in (b" (", b"\0"):
        data = data.replace(release + end, release[:-1] + letter + end)
    known = bytes.fromhex(identity.image_build_id(data, str(path)).value)
    assert data.count(known) == 1
    path.write_bytes(data.replace(known, letter * len(known)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _only_the_new_one(found: Outcome) -> list[str]:
    """Return what is wrong unless the target record is that of the kernel that was given last."""
    return [f"kernel {name} answered, which was replaced" for name in found.kernels if name[-1] != "X"]


@fault(
    "kernel replaced",
    "A kernel with a snapshot is replaced by one of another release and build ID, of the same size and mtime.",
    check=_only_the_new_one,
)
def _replaced(trial: Trial, _chance: random.Random) -> None:
    path = _own(trial)
    trial.prepare()
    _alter(path)


@fault(
    "kernel replaced in a run",
    "The same, while the run boots the first one.",
    same=False,
)
def _replaced_meanwhile(trial: Trial, chance: random.Random) -> None:
    path = _own(trial)

    def during(trial: Trial) -> None:
        time.sleep(chance.uniform(0.1, 2))
        _alter(path)

    trial.during.append(during)


@fault(
    "snapshots of two kernels swapped",
    "The snapshots of two kernels have each other's names.",
    check=_only_the_new_one,
)
def _swapped(trial: Trial, _chance: random.Random) -> None:
    path = _own(trial)
    _alter(path, b"W")
    known = set(trial.cache.glob("snapshots/*.json"))
    trial.prepare()
    _alter(path)
    trial.prepare()
    notes = sorted(set(trial.cache.glob("snapshots/*.json")) - known)
    assert len(notes) == 2, notes
    cache = Cache(trial.cache)
    contents = [cache.read(note, SnapshotNote) for note in notes]
    states = [note.with_suffix(".state") for note in notes]
    aside = states[0].with_name("aside")
    states[0].rename(aside)
    states[1].rename(states[0])
    aside.rename(states[1])
    for note, content in zip(notes, reversed(contents), strict=True):
        assert content is not None
        cache.record(note, msgspec.structs.replace(content, key=note.stem))


_with_words(
    "kernel silent",
    "The kernel has no driver for the consoles that its guest answers on.",
    "initcall_blacklist=virtio_pci_driver_init,pl011_init console=none",
    slow=True,
)
