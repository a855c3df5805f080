"""Kernel tracks such as `debian:6.12`, read from images/tracks.toml."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.errors import BadTargetFile
from sysevent.images import track_names
from sysevent.images.track_names import TRACKS_FILE


class Track(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One series of kernels that Debian ships; images/tracks.toml explains the fields."""

    name: str
    suites: tuple[str, ...]
    packages: dict[str, tuple[str, ...]]
    pick: Literal["first", "highest"] = "first"

    @property
    def spec(self) -> str:
        """The track as a user writes it after --kernel: "debian:6.12"."""
        return f"{track_names.PREFIX}{self.name}"

    @property
    def series(self) -> str:
        """The name without the flavour, which headers do not have: "6.12" of 6.12-rt."""
        return self.name.partition("-")[0]

    @property
    def rule(self) -> str:
        """A hash of the definition: after an edit of the file, cached resolutions of the track no longer apply."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


class _TrackFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    track: tuple[Track, ...]


@functools.cache
def load(path: Path = TRACKS_FILE) -> tuple[Track, ...]:
    """Return the tracks in the order of the file; BadTargetFile names the key or row that is wrong."""
    try:
        tracks = msgspec.toml.decode(path.read_bytes(), type=_TrackFile).track
    except OSError as error:
        raise BadTargetFile(f"cannot read the kernel tracks in {path}: {error.strerror}") from None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadTargetFile(f"{path}: {error}") from None
    for number, track in enumerate(tracks):
        if problem := _problem(track, tracks[:number]):
            raise BadTargetFile(f"{path}: track[{number}] ({track.name}): {problem}")
    return tracks


def track(name: str, tracks: Sequence[Track]) -> Track:
    """Return the track called name; UsageError lists the known tracks."""
    for candidate in tracks:
        if candidate.name == name:
            return candidate
    raise track_names.unknown(name, [candidate.spec for candidate in tracks])


def _problem(track: Track, earlier: Sequence[Track]) -> str | None:
    """Return what is wrong with a track beyond its types, or None. Names and suites go into URLs and file names."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", track.name):
        return "a name is letters, digits, dots and hyphens"
    if track.name in {other.name for other in earlier}:
        return "the name is taken by an earlier track"
    if not track.suites or not track.packages:
        return "needs at least one suite and one architecture"
    for suite in track.suites:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", suite):
            return f"{suite!r} is not the name of a Debian suite"
    for arch in track.packages:
        if arch not in ARCHITECTURES:
            return f"no architecture is called {arch!r}; expected one of {', '.join(sorted(ARCHITECTURES))}"
    return None
