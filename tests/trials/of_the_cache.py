"""Faults in the files of the cache: as after power loss, a failing disk, or another program's mistake."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import faults

from trials.catalogue import fault
from trials.trial import Trial

_STATES = "snapshots/*.state"
# Files of the cache by what they are. Without the last ones a run that is offline cannot resolve its track.
_DERIVED = {
    "unpacked kernels": "kernels/*arm64*/vmlinuz",
    "seals of kernels": "kernels/*arm64*/*.sha256",
    "initramfs archives": "initramfs/*.cpio",
    "extracted modules": "modules/*.bin",
    "compiled VMMs": "build/vmm-*",
    "compiled init programs": "build/init-*",
    "compiled payloads": "build/payload-*",
    "BTF layouts": "btf/*.json",
    "header layouts": "layouts/*.json",
    "states of snapshots": _STATES,
    "notes of snapshots": "snapshots/*.json",
}
_BOOTED_FROM = ("kernels", "initramfs", "modules", "build")
_NEEDED_OFFLINE = {
    "resolutions of tracks": "tracks/*.json",
    "notes of suites": "suites/*.json",
}


def _flip(path: Path, chance: random.Random) -> None:
    if size := path.stat().st_size:
        faults.flip(path, chance.randrange(size), chance.randrange(8))


def _cut(path: Path, chance: random.Random) -> None:
    if size := path.stat().st_size:
        faults.cut(path, chance.randrange(size))


_DAMAGES = {
    "flipped": ("one bit of each is flipped, at a random place", _flip),
    "cut": ("each is cut at a random length", _cut),
    "emptied": ("each has no bytes", lambda path, _: faults.empty(path)),
    "zeroed": ("each has only zero bytes", lambda path, _: faults.zero(path)),
    "removed": ("each is deleted", lambda path, _: path.unlink()),
}


def _damage_all(pattern: str, damage: str) -> None:
    what = next(name for name, p in (_DERIVED | _NEEDED_OFFLINE).items() if p == pattern)
    how, hurt = _DAMAGES[damage]

    @fault(
        f"{what} {damage}", f"{what} in the cache (`{pattern}`): {how}.", same=pattern in _DERIVED.values()
    )
    def inject(trial: Trial, chance: random.Random) -> None:
        found = [path for path in trial.cache.glob(pattern) if path.is_file()]
        if pattern == _STATES:
            # Each has the guest's memory. The run restores the one that the run before has used.
            found = sorted(found, key=lambda path: path.stat().st_mtime)[-1:]
        if not (trial.cache / pattern.partition("/")[0]).exists():
            # The other fault of a pair has removed them.
            return
        assert found, f"no file of the cache matches {pattern}"
        if pattern.partition("/")[0] in _BOOTED_FROM:
            # A restored guest needs none of them.
            shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)
        for path in found:
            hurt(path, chance)


for _pattern in (*_DERIVED.values(), *_NEEDED_OFFLINE.values()):
    for _damage in _DAMAGES:
        _damage_all(_pattern, _damage)


@fault(
    "indices flipped", "Signed indices among the blobs of the cache: one bit of each is flipped.", same=False
)
def _indices(trial: Trial, chance: random.Random) -> None:
    for path in (trial.cache / "blobs" / "sha256").iterdir():
        # Packages are another fault: offline, a damaged one cannot be fetched again by the run after this one.
        if path.stat().st_size < 4 << 20 and not path.read_bytes().startswith(b"!<arch>"):
            _flip(path, chance)


@fault("drafts left", "Unfinished files of a run that was killed are in each folder of the cache.")
def _drafts(trial: Trial, chance: random.Random) -> None:
    for folder in [path for path in trial.cache.iterdir() if path.is_dir()]:
        (folder / ".draft.x8k2").write_bytes(chance.randbytes(1000))


@fault(
    "folders instead of files",
    "Each compiled program in the cache is replaced by a directory of its name.",
    same=False,
)
def _folders(trial: Trial, chance: random.Random) -> None:
    for path in list((trial.cache / "build").iterdir()):
        path.unlink()
        path.mkdir()
