"""What is known of the coverage of one kernel: its points, and in the cache what earlier explorations reached.

Everything of a kernel is in a directory of the cache that is named by its build ID: two kernels with one ID are one.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from sysevent.arches import ArchName
from sysevent.build import proof
from sysevent.build.producers import PRODUCERS, paths
from sysevent.cache import Cache
from sysevent.conformance.play import Sequence
from sysevent.decode import instrumented
from sysevent.decode.instrumented import Point
from sysevent.errors import ImageError, UsageError
from sysevent.explore import corpus
from sysevent.explore.coverage import Coverage
from sysevent.explore.kernels import Kernel
from sysevent.model import Facts
from sysevent.scenario.cover import WORDS, Cover
from sysevent.scenario.steps import Scenario
from sysevent.settings import Settings

# Kernels of which something is kept.
_KERNELS = 16
_CONFIG = "CONFIG_KCOV=y, CONFIG_DEBUG_FS=y and CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y"
ReadPoints = Callable[[Path, tuple[str, ...]], dict[int, Point]]


class _Points(msgspec.Struct, frozen=True):
    # Of the table of producers and the reader, with which the points were found.
    key: str
    points: dict[int, Point]


def require_kcov(kernel: Kernel, facts: Facts, name: str) -> None:
    """UsageError with what to do if the kernel of a target does not record what it executes."""
    asked = Scenario(f"{facts.arch}.explore.coverage", facts.arch, (Cover("begin", WORDS), Cover("end")))
    errno = kernel.observe(asked).answers["begin"].errno
    if errno:
        raise UsageError(
            f"--coverage: Linux {facts.release} of {name} has no KCOV (errno {errno} of /sys/kernel/debug/kcov): give "
            f"its source as --build DIR, or build it with {_CONFIG}"
        )


def require_vmlinux(vmlinux: Path | None, facts: Facts, name: str) -> Path:
    """Return the vmlinux of the kernel that answers, proven by its build ID. UsageError if it is not there."""
    build_id = facts.identity.build_id if facts.identity else ""
    if vmlinux is None:
        raise UsageError(
            f"--coverage: no vmlinux of {name} is beside its image: put the one of the same build there"
        )
    found = proof.of_vmlinux(vmlinux)
    if not build_id or found != build_id:
        raise UsageError(
            f"--coverage: {vmlinux} has the build ID {found or 'none'}, and the kernel that answers "
            f"{build_id or 'none'}: put the vmlinux of the same build there"
        )
    return vmlinux


class CoveredKernel:
    """The files of one kernel in the cache."""

    def __init__(
        self, settings: Settings, arch: ArchName, build_id: str, read: ReadPoints = instrumented.points
    ) -> None:
        """read: instrumented.points(), or a fake."""
        self._cache, self._arch, self._read = Cache(settings.cache), arch, read
        self._all = settings.cache / "explore" / "covered"
        self._folder = self._all / build_id

    def coverage(self, vmlinux: Path) -> Coverage:
        """Return the empty coverage of an exploration. UsageError if the kernel's vmlinux has no points."""
        before = self._cache.read(self._folder / "reached.json", list[int])
        return Coverage(self._points(vmlinux), before or ())

    def kept(self) -> list[Sequence]:
        """Return the sequences that reached new points in earlier explorations; none of an older version."""
        try:
            return corpus.read(self._folder / "kept.jsonl")
        except UsageError:
            return []

    def keep(self, coverage: Coverage) -> None:
        """Write what an exploration has reached, beside what earlier ones have. Without effect where it cannot be."""
        reached = sorted(coverage.before | coverage.reached.keys())
        self._cache.record(self._folder / "reached.json", reached)
        text = "".join(map(corpus.line, coverage.kept))
        with contextlib.suppress(ImageError):
            self._cache.write(self._folder / "kept.jsonl", text.encode())
        self._forget_others()

    def _points(self, vmlinux: Path) -> dict[int, Point]:
        """Return the points of the producers, which are read once for each kernel: that takes seconds."""
        producers = PRODUCERS[self._arch]
        key = hashlib.sha256(f"2 {producers}".encode()).hexdigest()
        path = self._folder / "points.json"
        known = self._cache.read(path, _Points)
        if known is None or known.key != key:
            try:
                found = self._read(vmlinux, paths(self._arch))
            except ImageError as error:
                raise UsageError(f"--coverage: {error}; it needs {_CONFIG}") from error
            has = {producer.path: producer.has for producer in producers}
            known = _Points(
                key, {at: point for at, point in found.items() if has[point.path](point.function)}
            )
            self._cache.record(path, known)
        if not known.points:
            raise UsageError(
                f"--coverage: {vmlinux} records nothing in {', '.join(paths(self._arch)[:2])} and the other producers: "
                "their KVM must be built in (CONFIG_KVM=y), and instrumented (CONFIG_KCOV_INSTRUMENT_ALL=y)"
            )
        return known.points

    def _forget_others(self) -> None:
        """Remove what is known of kernels that were not explored for the longest time."""
        with contextlib.suppress(OSError):
            folders = sorted(self._all.iterdir(), key=lambda path: path.stat().st_mtime)
            for folder in folders[:-_KERNELS]:
                shutil.rmtree(folder, ignore_errors=True)
