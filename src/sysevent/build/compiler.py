"""Finds and runs the compiler for an ABI: the user's own, zig, or a cross gcc, in this order."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.arches import Abi
from sysevent.digests import digest
from sysevent.errors import BuildFailed, ToolMissing

# Freestanding and reproducible code, which needs nothing from a libc or a sanitizer runtime.
FLAGS = (
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-stack-protector",
    "-fno-pie",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-nostdlib",
    "-static",
)
# Seconds; one is usual. In an emulated machine with a load of 30 it took 300.
_DEADLINE = 1800


class Compiler(msgspec.Struct, frozen=True):
    """A command that compiles and links C and assembly for one ABI."""

    command: tuple[str, ...]
    version: str
    # Part of the cache key: what the compiler is, wherever it is installed. Another one makes another binary.
    identity: str
    # Further flags for the programs of guests/; headers are compiled without them.
    flags: tuple[str, ...] = ()


def find(abi: Abi) -> Compiler:
    """Return the compiler for abi: $CC_<abi>, the ziglang wheel, or <triple>-gcc; ToolMissing if there is none."""
    named = os.environ.get(f"CC_{abi.name}")
    if named:
        return _of_command(tuple(shlex.split(named)))
    if cc := zig():
        command = (*cc, "-target", abi.zig_target, "-fno-sanitize=all")
        # The wheel of one version contains the same compiler everywhere.
        found = f"zig {_zig_version()}"
        return Compiler(command, found, f"{found} {shlex.join(command[3:])}", abi.zig_flags)
    gcc = shutil.which(f"{abi.gnu_prefix}gcc")
    if gcc:
        return _of_command((gcc,))
    raise ToolMissing(
        f"no compiler for {abi.name}: install the ziglang wheel (pip install ziglang), or "
        f"{abi.gnu_prefix}gcc, or set CC_{abi.name}"
    )


@functools.cache
def zig() -> tuple[str, ...]:
    """Return the command of zig's C compiler; () if the ziglang wheel is not installed."""
    return (sys.executable, "-m", "ziglang", "cc") if importlib.util.find_spec("ziglang") else ()


@functools.cache
def _zig_version() -> str:
    # Here: a user's own compiler needs none of it.
    from importlib.metadata import version

    return version("ziglang")


def _of_command(command: tuple[str, ...]) -> Compiler:
    """Return the compiler behind a user's command: two of one version may differ, so its program's hash counts."""
    version = _version(command)
    try:
        content = digest(Path(shutil.which(command[0]) or command[0]))
    except OSError as error:
        raise ToolMissing(
            f"the compiler {shlex.join(command)} cannot be read, and so not be identified: {error}"
        ) from error
    return Compiler(command, version, f"{version} {content} {shlex.join(command[1:])}")


def _version(command: tuple[str, ...]) -> str:
    try:
        shown = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissing(f"the compiler {shlex.join(command)} does not run: {error}") from error
    return shown.stdout.splitlines()[0] if shown.stdout else shlex.join(command)


def build(compiler: Compiler, abi: Abi, flags: tuple[str, ...], sources: list[Path], output: Path) -> None:
    """Compile and link sources into output; BuildFailed with the command and the compiler's output.

    flags come after those of this module and of the ABI. Temporary files are in the directory of output.
    """
    options = (*compiler.flags, *FLAGS, *abi.flags, *flags)
    command = [*compiler.command, *options, *map(str, sources), "-o", str(output)]
    try:
        with empty_zig_cache(output.parent) as variables:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_DEADLINE,
                check=False,
                env=os.environ | variables,
            )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(
            f"building {output.name} for {abi.name}: {shlex.join(compiler.command)} did not end within {_DEADLINE} s"
        ) from error
    except OSError as error:
        raise BuildFailed(f"building {output.name} for {abi.name}: {error}") from error
    if done.returncode:
        raise BuildFailed(
            f"building {output.name} for {abi.name} failed with {done.returncode}:\n"
            f"  {shlex.join(command)}\n{done.stderr.strip()}"
        )


@contextlib.contextmanager
def empty_zig_cache(scratch: Path) -> Iterator[dict[str, str]]:
    """Give the environment variables of a new cache for zig below scratch, which is deleted with the context. OSError.

    zig does not check what it finds in its cache: a damaged object file would become part of every later program.
    Without a libc a build needs nothing from it: 0.45 s with the cache of an earlier build, and without.
    """
    with tempfile.TemporaryDirectory(prefix="zig-", dir=scratch) as folder:
        # A compiler of the user's, too, gets a directory for temporary files that exists.
        yield {"ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder, "TMPDIR": folder}
