"""Builds kernels outside their source tree, with a small configuration, incrementally."""

from __future__ import annotations

import errno
import itertools
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.build import kconfig, proof, source_tree
from sysevent.build.configured import Configured
from sysevent.build.toolchain import Toolchain, first_accepted, host_compiler, plain_environment, toolchains
from sysevent.capped_log import CappedLog, PipedLog
from sysevent.errors import DiskFull, KernelNotBuilt, UsageError
from sysevent.model import Progress
from sysevent.process import die_with_parent

# Seconds between two lines of progress, and between two looks at what may end a build.
_PROGRESS_INTERVAL, _WATCH_INTERVAL = 10, 0.2
# Seconds that make has to end after SIGTERM.
_GRACE = 10
# Bytes of the start, and of the end, of make's output that are kept, for each call of make.
_LOG_PART = 8 << 20
# Bytes; if less is free after a failure, a full disk is the cause.
_MIN_FREE = 64 << 20
# Lines of a failed build's output that the message contains, besides its first one.
_SHOWN = 20
# How compilers and linkers begin an error, and the lines of source below it: "   12 |     x = y;".
_ERROR = re.compile(r"\berror: |undefined reference")
_SOURCE = re.compile(r"\s+(?:\d+ )?\|")
# Lines of source that are shown below an error.
_BELOW = 3


class BuiltKernel(msgspec.Struct, frozen=True):
    """A kernel built from a tree."""

    # For --kernel.
    spec: str
    # Seconds of each stage: "configure", "build".
    seconds: dict[str, float]
    # Remarks for the user.
    notes: tuple[str, ...]
    # Toolchain.name
    toolchain: str


class KernelBuilder:
    """Builds kernels of one architecture; below one directory, each compiler has its own build directory."""

    def __init__(
        self,
        arch: Architecture,
        directory: Path,
        progress: Progress,
        *,
        build_id: proof.ReadBuildId,
        jobs: int | None = None,
        fragments: Sequence[Path] = (),
        variables: Sequence[str] = (),
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        """build_id reads that of the kernel in a boot image. fragments are added to images/kconfig.

        jobs is for make -j; None: as many as CPUs. variables are given to make, as "NAME=VALUE", when it builds
        kernels. watch is called again and again while make runs; what it raises ends make, and is raised by build().
        """
        self.arch = arch
        self._directory = directory
        self._progress = progress
        self._build_id = build_id
        self._jobs = jobs or os.cpu_count() or 1
        self._watch = watch
        self._lines = kconfig.requested_lines(arch, fragments)
        self._variables = tuple(variables)
        self._toolchains = toolchains(arch)

    def build(self, tree: Path, log: Path, *, configured: bool = False) -> BuiltKernel:
        """Build the tree as it is checked out, and return its kernel; make's output goes to log.

        configured: True: since the last build of this tree only source files have changed, so its .config stays. It
        also stays if nothing has changed that decides it.

        `uname -v` of the kernel has the revision of the tree. KernelNotBuilt with the compiler's errors, or if the
        boot image does not hold the kernel that was linked. ToolMissing when no installed compiler is new enough or
        setpriv is not installed, DiskFull, UsageError for a tree that was built in place.
        """
        toolchain = first_accepted(tree, self.arch, self._toolchains)
        output = self._directory / f"{self.arch.name}-{toolchain.name}"
        output.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        # Without an empty LOCALVERSION the state of git becomes part of the kernel release.
        state = source_tree.state(tree)
        variables = [*self._variables, *toolchain.make(output, [tree / name for name in state.edited])]
        make = [*self._make(tree, output), "LOCALVERSION=", *variables]
        begin = time.monotonic()
        record = Configured(output, tree, self._lines, toolchain)
        known = () if configured else record.known()
        unmet = self._configure(make, toolchain, output, tree, log) if known is None else known
        middle = time.monotonic()
        goal = self.arch.make_goal
        env = toolchain.environment(state.revision)
        try:
            self._run([*make, goal], env, tree, log, f"building {goal}")
        except KernelNotBuilt as error:
            # The compiler was reached, so the configuration is complete.
            if _ERROR.search(str(error)):
                record.record(unmet)
            raise
        unproven = proof.check(output, self.arch, self._build_id)
        record.record(unmet)
        seconds = {"configure": middle - begin, "build": time.monotonic() - middle}
        notes = [f"not honoured: {', '.join(unmet)}"] if unmet else []
        notes += [unproven] if unproven else []
        return BuiltKernel(f"tree:{output}", seconds, tuple(notes), toolchain.name)

    def headers(self, tree: Path, log: Path) -> Path:
        """Export the tree's uapi headers as for userspace, and return the directory for -I.

        No cross compiler is needed, and unchanged headers are not exported again. Raises as build() does.
        """
        output = self._directory / f"{self.arch.name}-headers"
        output.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        rules = tree / "scripts" / "Makefile.headersinst"
        if "unwanted" not in (rules.read_text(errors="replace") if rules.exists() else ""):
            # Before v5.3 make does not remove headers that the revision does not have.
            shutil.rmtree(output / "usr", ignore_errors=True)
        variables, environment = host_compiler(output / "zig")
        make = [*self._make(tree, output), *variables, "headers"]
        self._run(make, plain_environment() | environment, tree, log, "exporting headers")
        return output / "usr" / "include"

    def _make(self, tree: Path, output: Path) -> list[str]:
        return ["make", "-C", str(tree), f"O={output}", f"ARCH={self.arch.kernel}", f"-j{self._jobs}"]

    def _configure(
        self, make: Sequence[str], toolchain: Toolchain, output: Path, tree: Path, log: Path
    ) -> tuple[str, ...]:
        """Write a .config with every required line, and return the symbols that it does not honour."""
        env = toolchain.environment()
        for with_fallback in (False, True):
            wanted = [line for line in self._lines if with_fallback or not line.fallback]
            dotconfig = configure(
                make, wanted, env, output, lambda c, e: self._run(c, e, tree, log, "configuring")
            )
            unmet = kconfig.unmet(wanted, dotconfig)
            lacking = [line.text for line in unmet if not line.optional and not line.fallback]
            if not lacking:
                return tuple(line.symbol for line in unmet)
        raise KernelNotBuilt(f"this revision's configuration does not accept {', '.join(lacking)}: see {log}")

    def _run(self, command: Sequence[str], env: Mapping[str, str], tree: Path, log: Path, doing: str) -> None:
        """Run make to its end, with a line of progress every 10 s; doing says in messages what it does."""
        output = PipedLog(CappedLog(log, _LOG_PART, _LOG_PART, append=True))
        try:
            os.write(output.child, f"$ {' '.join(command)}\n".encode())
            # If this process is killed, make must not go on in the directory that the next run uses.
            process = subprocess.Popen(
                die_with_parent(command, "TERM"),
                stdin=subprocess.DEVNULL,
                stdout=output.child,
                stderr=output.child,
                env=dict(env),
                start_new_session=True,
            )
        finally:
            output.started()
        try:
            self._wait(process.pid, doing)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            output.wait(_GRACE)
        if code:
            raise failure(log, self._directory, tree, doing)

    def _wait(self, pid: int, doing: str) -> None:
        """Wait for the end of make, which Popen.wait() with a timeout notices up to 50 ms late."""
        begin = time.monotonic()
        due = begin + _PROGRESS_INTERVAL
        ended = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            while not poll.poll(_WATCH_INTERVAL * 1000):
                self._watch()
                if (now := time.monotonic()) >= due:
                    due = now + _PROGRESS_INTERVAL
                    self._progress(f"{doing}, {now - begin:.0f} s")
        finally:
            os.close(ended)


def configure(
    make: Sequence[str],
    wanted: Sequence[kconfig.ConfigLine],
    env: Mapping[str, str],
    output: Path,
    run: Callable[[Sequence[str], Mapping[str, str]], None],
) -> str:
    """Run `make allnoconfig` with the wanted lines, and return the text of the .config.

    make is the command up to the goal; run executes it in env, which must raise an error when make fails.
    """
    fragment = output / "sysevent.config"
    fragment.write_text(kconfig.render(wanted), encoding="utf-8")
    run([*make, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"], env)
    return (output / ".config").read_text(encoding="utf-8", errors="replace")


def failure(log: Path, directory: Path, tree: Path, doing: str) -> DiskFull | KernelNotBuilt | UsageError:
    """Return the error that a failed make means, judging by its output and the free space of directory."""
    # Paths relative to the tree, as they are usually written.
    lines = log.read_text(encoding="utf-8", errors="replace").replace(f"{tree}/", "").splitlines()
    tail = lines[-200:]
    if (
        any(os.strerror(errno.ENOSPC) in line for line in tail)
        or shutil.disk_usage(directory).free < _MIN_FREE
    ):
        return DiskFull(f"{doing}: no space left on the disk of {directory}")
    if any("source tree is not clean" in line for line in tail):
        return UsageError(
            "the tree was built in place, so make refuses to build elsewhere: run make mrproper there"
        )
    # Without an error that is recognised, the last line says most.
    first, *more = diagnostics(lines) or [*tail[-1:], *tail[-_SHOWN:-1]] or ["make printed nothing"]
    shown = [f"  {line}" for line in more[:_SHOWN]]
    if len(more) > _SHOWN:
        shown.append(f"  and {len(more) - _SHOWN} more lines")
    return KernelNotBuilt("\n".join([f"{doing} failed: {first.strip()}", *shown, f"  whole output: {log}"]))


def diagnostics(lines: Sequence[str]) -> list[str]:
    """Return the errors in make's output, each with the lines of source that the compiler shows below it.

    If no compiler or linker names an error, the lines of make itself; none if there are none of either.
    """
    found: list[str] = []
    for number, line in enumerate(lines):
        # One in a header comes once for each file that includes it.
        if _ERROR.search(line) and line not in found:
            found.append(line)
            below = itertools.takewhile(_SOURCE.match, lines[number + 1 :])
            found += itertools.islice(below, _BELOW)
    return found or [line for line in lines if "*** " in line]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End make and its children: SIGTERM, and after a while SIGKILL, to the process group."""
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
