"""Which compiler builds for which ABI: one's own, zig, or a cross gcc, in this order."""

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

# Freestanding, reproducible, and free of everything a libc or a sanitizer runtime would have to bring.
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
_DEADLINE = 300  # seconds; a first zig run on a busy machine fills its own cache


class Compiler(msgspec.Struct, frozen=True):
    """A command that compiles and links C and assembly for one ABI."""

    command: tuple[str, ...]
    # Part of the cache key: another compiler, another binary.
    version: str
    # What it needs besides for programs of ours; headers are compiled without.
    flags: tuple[str, ...] = ()


def find(abi: Abi) -> Compiler:
    """The compiler for abi: $CC_<abi>, the ziglang wheel, or <triple>-gcc; ToolMissing when there is none."""
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


def writable(folder: Path) -> Path:
    """folder, made when it is missing; BuildFailed when nothing can be put into it: zig would never answer."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise BuildFailed(
            f"{folder} cannot be written to: {error.strerror}. What is compiled is kept there: "
            "set SYSEVENT_CACHE to a directory that can be written to"
        ) from error


def build(
    compiler: Compiler, abi: Abi, flags: tuple[str, ...], sources: list[Path], output: Path, cache: Path
) -> None:
    """Compile and link sources into output; BuildFailed carries what the compiler said."""
    zig_cache = str(writable(cache / "zig"))
    options = (*compiler.flags, *FLAGS, *abi.flags, *flags)
    command = [*compiler.command, *options, *map(str, sources), "-o", str(output)]
    # zig keeps what it built itself; its default place may be read-only, and ours is deleted with ours.
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
