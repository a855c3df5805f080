"""Kernel tracks: what `debian:6.12` means, read from images/tracks.toml."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.checkout import IMAGES
from sysevent.errors import BadTargetFile, UsageError

TRACKS_FILE = IMAGES / "tracks.toml"


class Track(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of kernels that Debian ships; images/tracks.toml explains the fields."""

    name: str
    suites: tuple[str, ...]
    packages: dict[str, tuple[str, ...]]
    pick: Literal["first", "highest"] = "first"

    @property
    def spec(self) -> str:
        """As a user writes it after --kernel."""
        return f"debian:{self.name}"

    @property
    def rule(self) -> str:
        """Changes when the definition changes, so that an edited file outdates what it once chose."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


class _TrackFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    track: tuple[Track, ...]


@functools.cache
def load(path: Path = TRACKS_FILE) -> tuple[Track, ...]:
    """The tracks in the order of the file; BadTargetFile says what is wrong with it and where."""
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
    """The track called name; UsageError names the ones there are."""
    for candidate in tracks:
        if candidate.name == name:
            return candidate
    known = ", ".join(t.spec for t in tracks)
    raise UsageError(f"no kernel track is called debian:{name}; there are {known}")


def _problem(track: Track, earlier: Sequence[Track]) -> str | None:
    """What the types alone do not forbid. Names and suites become parts of URLs and file names."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.]*", track.name):
        return "a name is letters, digits and dots"
    if track.name in {other.name for other in earlier}:
        return "the name is taken by an earlier track"
    if not track.suites or not track.packages:
        return "needs at least one suite and one architecture"
    for suite in track.suites:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", suite):
            return f"{suite!r} is not the name of a Debian suite"
    for arch in track.packages:
        if arch not in ARCHITECTURES:
            return f"no architecture is called {arch!r}; there are {', '.join(sorted(ARCHITECTURES))}"
    return None
