"""Compiles programs of the selftests by their own Makefile, linked statically, and packs them for a guest.

What was made is kept by content: of the source, of the headers, of the library, and by the compiler.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from sysevent import tool_paths
from sysevent.arches import Architecture
from sysevent.build import toolchain
from sysevent.build.toolchain import Toolchain
from sysevent.cache import Cache
from sysevent.errors import BuildFailed, ToolMissing, of_this_machine
from sysevent.headers import tree
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs import newc
from sysevent.model import Progress
from sysevent.peers import libc, programs
from sysevent.peers import source as sources
from sysevent.peers.source import Source
from sysevent.process import die_with_parent
from sysevent.text import first_line

IN_GUEST = "peers"
"""The directory of the programs in a guest's root."""
# Part of the key of what is kept.
_FORMAT = "1"
# Seconds for make; it usually takes 5 to 25.
_DEADLINE = 900
# ARCH of make: that of the selftests before v6.14 was that of uname, and later ones take both.
_ARCH = {"arm64": "arm64", "riscv64": "riscv", "x86_64": "x86_64"}


class Tools(msgspec.Struct, frozen=True):
    """What programs are compiled with."""

    compiler: Toolchain
    # Directories with include/ of the kernel's headers, and with include/ and lib/ of the C library. Their names have
    # the hash of their content.
    headers: Path
    library: Path

    @property
    def parts(self) -> tuple[str, ...]:
        """What differs between two of them, for the key of what was compiled."""
        return (self.compiler.name, *self.compiler.variables, self.headers.name, self.library.name)


class Made(msgspec.Struct, frozen=True):
    """What compiling gave, as the cache has it."""

    # Names of the programs, which are in the archive.
    programs: tuple[str, ...]
    # Why others could not be compiled, by name.
    failed: dict[str, str]
    # SHA-256 of the archive.
    digest: str
    # That compiling took.
    seconds: float


class Compiled(msgspec.Struct, frozen=True):
    """The programs of one source for one architecture."""

    # Of the source, for records.
    source: str
    made: Made
    # Those that the source does not have.
    absent: tuple[str, ...]
    # An archive in newc format, sealed in the cache.
    archive: Path


def path(program: str) -> str:
    """Return the absolute path of a program in a guest."""
    return f"/{IN_GUEST}/{program}"


def has_gcc(arch: Architecture) -> bool:
    """Return whether a gcc for an architecture is installed, with which its programs are compiled."""
    return any(one.kind == "gcc" for one in toolchain.toolchains(arch))


def gcc(arch: Architecture) -> Toolchain:
    """Return the gcc for an architecture; ToolMissing if none is installed."""
    for one in toolchain.toolchains(arch):
        if one.kind == "gcc":
            return one
    raise ToolMissing(f"no gcc for {arch.name} is installed, with which test programs for it are compiled")


def tools(source: Source, arch: Architecture, archive: Archive) -> Tools:
    """Return what compiles a source: the installed gcc, the headers that the source exports, and Debian's C library.

    ToolMissing without a compiler, BuildFailed if the headers cannot be exported, ImageError if the library cannot be
    obtained.
    """
    compiler = gcc(arch)
    library = libc.unpacked(arch, archive)
    headers, _ = tree.export_headers(source.root, arch, archive.settings, archive.progress)
    return Tools(compiler, headers, library)


def programs_of(
    source: Source,
    arch: Architecture,
    tools: Tools,
    cache: Cache,
    progress: Progress,
    *,
    jobs: int = 0,
    log: Path | None = None,
) -> Compiled:
    """Return the programs of a source, from the cache or compiled now.

    jobs: of make; 0: one for each CPU. log: a file for make's output. BuildFailed if none of the programs can be
    compiled.
    """
    wanted = {test.name: test.place(source.has) for test in programs.of(arch.name)}
    absent = tuple(name for name, place in wanted.items() if not place)
    places = {name: place for name, place in wanted.items() if place}
    with tempfile.TemporaryDirectory(dir=cache.scratch(), prefix="peers-") as folder:
        work = Path(folder)
        parts = [_FORMAT, sources.copy(source, work / "source"), *tools.parts]
        parts += [f"{name}={place}" for name, place in places.items()]
        key = f"{arch.name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:24]}"
        note, packed = cache.root / "peers" / f"{key}.json", cache.root / "peers" / f"{key}.cpio"
        with cache.lock(f"peers-{key}", f"selftests of {source.name} for {arch.name}", progress):
            made = cache.read(note, Made)
            if made is None or cache.intact_hash(packed) != made.digest:
                progress(f"{source.name}: compiling {len(places)} selftests for {arch.name}")
                made = _compile(work, places, arch, tools, jobs, log)
                cache.seal(packed, _pack(work, made.programs, places))
                made = msgspec.structs.replace(made, digest=cache.intact_hash(packed))
                cache.record(note, made)
            cache.touch(packed)
    return Compiled(source.name, made, absent, packed)


def _compile(
    work: Path, places: Mapping[str, str], arch: Architecture, tools: Tools, jobs: int, log: Path | None
) -> Made:
    """Run make in a copy of the source. Nothing of the result is packed yet."""
    (work / "source/usr").mkdir(exist_ok=True)
    (work / "source/usr/include").symlink_to(tools.headers / "include")
    command = [
        "make", "-k", f"-j{jobs or os.cpu_count() or 1}", f"ARCH={_ARCH[arch.name]}",
        *tools.compiler.variables, f"OUTPUT={work / 'out'}",
        *(f"{work / 'out' / place}" for place in places.values()),
    ]  # fmt: skip
    # In the environment, because the Makefile adds to them, which it could not do to variables of the command line.
    flags = {
        "CFLAGS": f"-isystem {tools.library / 'include'} -w",
        "LDFLAGS": f"-static -s -B{tools.library / 'lib'}/ -L{tools.library / 'lib'}",
    }
    begin = time.monotonic()
    output = make(command, work / "source" / programs.FOLDER, toolchain.plain_environment() | flags)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(output, encoding="utf-8")
    made = tuple(name for name, place in places.items() if (work / "out" / place).is_file())
    failed = {name: _why(output, places[name]) for name in places if name not in made}
    if not made:
        why = next(iter(failed.values()), "the source has none of them")
        raise BuildFailed(f"no selftest could be compiled for {arch.name}: {why}")
    return Made(made, failed, "", round(time.monotonic() - begin, 1))


def make(command: Sequence[str], where: Path, environment: Mapping[str, str]) -> str:
    """Return the output of make, or of another command, whatever its exit code; BuildFailed if it does not end.

    UsageError if make cannot work in that path.
    """
    tool_paths.require(where, f"compiling in {where}")
    try:
        done = subprocess.run(
            die_with_parent(command),
            cwd=where,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"{command[0]} did not end within {_DEADLINE} s") from None
    except OSError as error:
        raise of_this_machine("compiling test programs", error) from error
    return done.stdout.decode("utf-8", "replace")


def _why(output: str, place: str) -> str:
    """Return the first error that concerns a program, in one line."""
    name = re.escape(place.rpartition("/")[2])
    for pattern in (
        rf".*\b{name}\.c:.*error: .*",
        r".*error: .*",
        rf".*No rule to make target.*{name}.*",
        r"make: .*",
    ):
        if found := re.search(pattern, output):
            return first_line(found[0])
    return "make did not make it"


def _pack(work: Path, made: Sequence[str], places: Mapping[str, str]) -> bytes:
    entries = [newc.directory(IN_GUEST)]
    entries += [
        newc.executable(f"{IN_GUEST}/{name}", (work / "out" / places[name]).read_bytes())
        for name in sorted(made)
    ]
    return newc.archive(entries)
