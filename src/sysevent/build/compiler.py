"""Finds and runs the compiler for an ABI: the user's own, zig, or a cross gcc, in this order."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from sysevent.arches import Abi
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
# Seconds; the first run of zig fills its own cache, which takes long on a busy machine.
_DEADLINE = 300


class Compiler(msgspec.Struct, frozen=True):
    """A command that compiles and links C and assembly for one ABI."""

    command: tuple[str, ...]
    # Part of the cache key: another compiler makes another binary.
    version: str
    # Further flags for the programs of guests/; headers are compiled without them.
    flags: tuple[str, ...] = ()


def find(abi: Abi) -> Compiler:
    """Return the compiler for abi: $CC_<abi>, the ziglang wheel, or <triple>-gcc; ToolMissing if there is none."""
    named = os.environ.get(f"CC_{abi.name}")
    if named:
        command = tuple(shlex.split(named))
        return Compiler(command, _version(command))
    if importlib.util.find_spec("ziglang"):
        from importlib.metadata import version

        zig = (
            sys.executable,
            "-m",
            "ziglang",
            "cc",
            "-target",
            abi.zig_target,
            "-fno-sanitize=all",
        )
        return Compiler(zig, f"zig {version('ziglang')}", abi.zig_flags)
    gcc = shutil.which(f"{abi.gnu_prefix}gcc")
    if gcc:
        return Compiler((gcc,), _version((gcc,)))
    raise ToolMissing(
        f"no compiler for {abi.name}: install the ziglang wheel (pip install ziglang), or "
        f"{abi.gnu_prefix}gcc, or set CC_{abi.name}"
    )


def _version(command: tuple[str, ...]) -> str:
    try:
        shown = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissing(f"the compiler {shlex.join(command)} does not run: {error}") from error
    return shown.stdout.splitlines()[0] if shown.stdout else shlex.join(command)


def ensure_writable(folder: Path) -> Path:
    """Create folder if it is missing, and return it; BuildFailed when no file can be created in it.

    zig hangs when it cannot write to its cache.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise BuildFailed(
            f"{folder}, which is for compiled programs, cannot be written to: {error.strerror}; "
            "set SYSEVENT_CACHE to a writable directory"
        ) from error


def build(
    compiler: Compiler, abi: Abi, flags: tuple[str, ...], sources: list[Path], output: Path, cache: Path
) -> None:
    """Compile and link sources into output; BuildFailed with the command and the compiler's output.

    cache is the directory of the settings; flags come after those of this module and of the ABI.
    """
    zig_cache = str(ensure_writable(cache / "zig"))
    options = (*compiler.flags, *FLAGS, *abi.flags, *flags)
    command = [*compiler.command, *options, *map(str, sources), "-o", str(output)]
    # zig has a cache of its own. Its default directory may be read-only; this one is deleted with our cache.
    env = os.environ | {"ZIG_GLOBAL_CACHE_DIR": zig_cache, "ZIG_LOCAL_CACHE_DIR": zig_cache}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DEADLINE, check=False, env=env
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed(f"building {output.name} for {abi.name}: {error}") from error
    if done.returncode:
        raise BuildFailed(
            f"building {output.name} for {abi.name} failed with {done.returncode}:\n"
            f"  {shlex.join(command)}\n{done.stderr.strip()}"
        )
