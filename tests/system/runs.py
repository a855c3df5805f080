"""Real runs of claims about one kernel, with a cache of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, Architecture
from sysevent.cache import Cache
from sysevent.checkout import ROOT
from sysevent.images import tracks
from sysevent.images.debian.track_resolution import cached_resolution
from sysevent.report import records, run_log
from sysevent.settings import Settings

# An architecture that uses every kind of file: an ELF kernel taken out of its image, modules, and two ABIs.
ARCH = ARCHITECTURES["x86_64"]
TRACK = "6.12"
# Claims that ask a guest and compiled programs, about thirty.
CLAIMS = "suites/hyperv"
# Seconds; four are usual, and 180 were too few at a load of 25. This only ends what would never end.
TIMEOUT = 1800


class Outcome(msgspec.Struct, frozen=True):
    """What one run came to."""

    code: int
    # Test, ABI and status of each verdict.
    verdicts: frozenset[tuple[str, str, str]]
    # Reason of each incident.
    incidents: tuple[str, ...]
    # What it printed.
    output: str

    @property
    def statuses(self) -> Counter[str]:
        """How often there was each status."""
        return Counter(status for _, _, status in self.verdicts)


def command(results: Path, *options: str) -> list[str]:
    """Return the command of a run; results is a directory that does not exist."""
    pytest = [sys.executable, "-m", "pytest", CLAIMS, "-q", "-p", "no:cacheprovider", "--offline"]
    return [*pytest, "--arch", ARCH.name, "--kernel", f"debian:{TRACK}", "--results", str(results), *options]


def environment(cache: Path) -> dict[str, str]:
    """Return the environment of a run with this cache, and with its own locks."""
    return os.environ | {"SYSEVENT_CACHE": str(cache), "SYSEVENT_LOCKS": f"{cache}-locks"}


def run(cache: Path, results: Path, *options: str, inside: Sequence[str] = ()) -> Outcome:
    """Run to the end; inside is a command that the run's command is an argument of."""
    ran = subprocess.run(
        [*inside, *command(results, *options)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        cwd=ROOT,
        env=environment(cache),
    )
    return outcome(results, ran.returncode, ran.stdout + ran.stderr)


def outcome(results: Path, code: int, output: str) -> Outcome:
    """Return what the log of a run says."""
    verdicts, incidents = [], []
    if (results / "run.jsonl").exists():
        for record in run_log.read(results / "run.jsonl"):
            if isinstance(record, records.Verdict):
                verdicts.append((record.test, record.abi, record.status))
            elif isinstance(record, records.Incident):
                incidents.append(record.reason)
    return Outcome(code, frozenset(verdicts), tuple(incidents), output)


def copy_packages(settings: Settings, to: Path, arch: Architecture = ARCH) -> None:
    """Copy to a new cache what cannot be made without the network: the packages of the kernel and their signed chain.

    Not links: tests damage the copies.
    """
    track, cache = tracks.track(TRACK, tracks.load()), Cache(settings.cache)
    known = cached_resolution(track, arch, cache, settings)
    assert known is not None
    files = [cache.blob(sha256) for sha256 in known.blobs]
    files += [
        cache.root / "tracks" / f"{TRACK}-{arch.name}.json",
        cache.root / "suites" / f"{known.suite}.json",
    ]
    for path in files:
        copy = to / path.relative_to(cache.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
