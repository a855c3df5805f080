"""Builds a kernel tree out of tree, with a small configuration, again and again."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.build import kconfig
from sysevent.build.toolchain import Toolchain, accepted, plain_environment, toolchains
from sysevent.errors import DiskFull, KernelNotBuilt, UsageError
from sysevent.model import Progress

_BEAT = 10  # seconds between two signs of life
_GRACE = 10  # seconds for make to end by itself
_ROOM = 64 << 20  # bytes; with less than this free, a failure is the disk's
_SHOWN = 12  # lines of a failed build


class Built(msgspec.Struct, frozen=True):
    """A kernel made from a tree."""

    spec: str  # for --kernel
    seconds: dict[str, float]  # by what took them: configure, build
    notes: tuple[str, ...]  # what a person should know of it
    toolchain: str


class KernelBuilder:
    """Builds for one architecture below one directory; each compiler keeps its own build directory there."""

    def __init__(
        self,
        arch: Architecture,
        place: Path,
        progress: Progress,
        *,
        jobs: int | None = None,
        fragments: Sequence[Path] = (),
    ) -> None:
        self.arch = arch
        self._place = place
        self._progress = progress
        self._jobs = jobs or os.cpu_count() or 1
        self._wishes = kconfig.wishes(arch, fragments)
        self._toolchains = toolchains(arch)

    def build(self, tree: Path, log: Path) -> Built:
        """The tree's kernel as it is checked out; make's output goes to log.

        KernelNotBuilt with the compiler's words, ToolMissing when no compiler here is new enough, DiskFull,
        UsageError for a tree that was built in place.
        """
        toolchain = accepted(tree, self.arch, self._toolchains)
        output = self._place / f"{self.arch.name}-{toolchain.name}"
        output.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        make = [
            *("make", "-C", str(tree), f"O={output}", f"ARCH={self.arch.kernel}", f"-j{self._jobs}"),
            *("LOCALVERSION=", *toolchain.make),  # without it, git's state becomes part of the release
        ]
        begin = time.monotonic()
        refused = self._configure(make, toolchain, output, tree, log)
        configured = time.monotonic()
        goal = self.arch.make_goal
        self._run([*make, goal], toolchain.environment(), tree, log, f"building {goal}")
        seconds = {"configure": configured - begin, "build": time.monotonic() - configured}
        notes = (f"not honoured: {', '.join(refused)}",) if refused else ()
        return Built(f"tree:{output}", seconds, notes, toolchain.name)

    def headers(self, tree: Path, log: Path) -> Path:
        """The uapi headers of the tree as userspace gets them: a directory for -I. Raises as build() does.

        It takes no cross compiler; what did not change since the last time is not made again.
        """
        output = self._place / f"{self.arch.name}-headers"
        output.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        rules = tree / "scripts" / "Makefile.headersinst"
        if "unwanted" not in (rules.read_text(errors="replace") if rules.exists() else ""):
            # Before v5.3 a header that a revision does not have would stay behind.
            shutil.rmtree(output / "usr", ignore_errors=True)
        make = ["make", "-C", str(tree), f"O={output}", f"ARCH={self.arch.kernel}", f"-j{self._jobs}"]
        self._run([*make, "headers"], plain_environment(), tree, log, "exporting headers")
        return output / "usr" / "include"

    def _configure(
        self, make: Sequence[str], toolchain: Toolchain, output: Path, tree: Path, log: Path
    ) -> tuple[str, ...]:
        """Leave a .config with everything that is needed; the names of what is optional and was refused."""
        env = toolchain.environment()
        for with_fallback in (False, True):
            wanted = [wish for wish in self._wishes if with_fallback or not wish.fallback]
            dotconfig = configure(
                make, wanted, env, output, lambda c, e: self._run(c, e, tree, log, "configuring")
            )
            refused = kconfig.refused(wanted, dotconfig)
            lacking = [wish.text for wish in refused if not wish.optional and not wish.fallback]
            if not lacking:
                return tuple(wish.symbol for wish in refused)
        raise KernelNotBuilt(f"this revision's configuration refuses {', '.join(lacking)}; {log}")

    def _run(self, command: Sequence[str], env: Mapping[str, str], tree: Path, log: Path, doing: str) -> None:
        """One make, to its end; a sign of life now and then."""
        begin = time.monotonic()
        with log.open("ab") as said:
            said.write(f"$ {' '.join(command)}\n".encode())
            said.flush()
            # Should we be killed, make must not go on in a directory that the next run works in.
            setpriv = shutil.which("setpriv")
            guard = [setpriv, "--pdeathsig=TERM", "--"] if setpriv else []
            process = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=dict(env),
                start_new_session=True,
            )
            try:
                while True:
                    try:
                        code = process.wait(_BEAT)
                        break
                    except subprocess.TimeoutExpired:
                        self._progress(f"{doing}, {time.monotonic() - begin:.0f} s")
            except BaseException:
                _end(process)
                raise
        if code:
            raise failure(log, self._place, tree, doing)


def configure(
    make: Sequence[str],
    wanted: Sequence[kconfig.Wish],
    env: Mapping[str, str],
    output: Path,
    run: Callable[[Sequence[str], Mapping[str, str]], None],
) -> str:
    """`make allnoconfig` with everything that is wanted; the .config's text."""
    fragment = output / "sysevent.config"
    fragment.write_text(kconfig.render(wanted), encoding="utf-8")
    run([*make, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"], env)
    return (output / ".config").read_text(encoding="utf-8", errors="replace")


def failure(log: Path, place: Path, tree: Path, doing: str) -> DiskFull | KernelNotBuilt | UsageError:
    """What a make that failed means, by its output and the room on the disk."""
    # As people know the files: from the top of the tree.
    lines = log.read_text(encoding="utf-8", errors="replace").replace(f"{tree}/", "").splitlines()
    tail = lines[-200:]
    if any(os.strerror(errno.ENOSPC) in line for line in tail) or shutil.disk_usage(place).free < _ROOM:
        return DiskFull(f"{doing}: no space left on the disk of {place}")
    if any("source tree is not clean" in line for line in tail):
        return UsageError("the tree was built in place, so make refuses to build elsewhere: make mrproper")
    telling = [line for line in tail if re.search(r"\berror: |\*\*\* |undefined reference", line)]
    first = telling[0] if telling else (tail[-1] if tail else "make said nothing")
    shown = "\n".join(f"  {line}" for line in (telling or tail)[:_SHOWN])
    return KernelNotBuilt(f"{doing} failed: {first.strip()}\n{shown}\n  all of it: {log}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """make and all below it have ended when this returns."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            continue
        break
