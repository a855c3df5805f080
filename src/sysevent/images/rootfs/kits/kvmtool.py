"""Kits of kvmtool, built from the source tree of a user, which is only read."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.build import compiler, toolchain
from sysevent.build.git import GitFailed, git
from sysevent.cache import Cache
from sysevent.errors import BuildFailed, ToolMissing, UsageError
from sysevent.images.debian import deb
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs.kits import archive as kit_archive
from sysevent.images.rootfs.kits import commands, linked, packages
from sysevent.images.rootfs.kits.archive import Contents, Kit
from sysevent.images.rootfs.kits.packages import Chosen
from sysevent.images.rootfs.kits.recipes import KVMTOOL, LIBFDT

_PROGRAM = "usr/bin/lkvm"
# A file that a tree has, and trees of other projects have not.
_MARK = "builtin-run.c"
# How it is built. Warnings are of compilers that are newer than the tree.
_MAKE = ("make", "WERROR=0", "lkvm-static")
# What make leaves in a tree, and git's own files.
_MADE = shutil.ignore_patterns(".git", "*.o", "*.d", "*.elf", "*.bin", "lkvm*", "KVMTOOLS-VERSION-FILE")
# Bytes and files of a tree; kvmtool has 1.5 MB in 400.
_TREE_MAX = 64 << 20
_FILES_MAX = 5000

Ask = Callable[[Sequence[str]], str]
"""Returns what a command prints; "" if it cannot be run or fails."""


class Tools(msgspec.Struct, frozen=True):
    """A C compiler that links static programs for one architecture."""

    # For make's variable CC.
    command: str
    # Part of a kit's key.
    identity: str
    # Of the preprocessor.
    flags: str = ""


def check(tree: Path) -> None:
    """Raise UsageError unless a directory is a source tree of kvmtool."""
    if not (tree / _MARK).is_file() or not (tree / "Makefile").is_file():
        raise UsageError(f"{tree} is not a source tree of kvmtool, which has {_MARK} and a Makefile")


def kit(tree: Path, arch: Architecture, archive: Archive, ask: Ask = commands.output) -> Kit:
    """Return the kit of the kvmtool in a tree. UsageError for another tree, ToolMissing without a compiler.

    BuildFailed when make fails. libfdt, which kvmtool needs where machines are described by a device tree, is
    Debian's; raises what packages.kit() raises for it.
    """
    check(tree)
    tools = find(arch, ask)
    parts = (*_MAKE, content_hash(tree), tools.identity, tools.command, tools.flags)
    made = functools.partial(_build, tree, arch, tools, archive)
    if LIBFDT.packages[arch.name]:
        return packages.kit(
            LIBFDT, arch, archive, lambda _, __, chosen, ___: made(chosen), parts, name=KVMTOOL
        )
    key = kit_archive.key_of([KVMTOOL, arch.name, *parts])
    cache = Cache(archive.settings.cache)
    return kit_archive.make(cache, KVMTOOL, arch.name, key, archive.progress, lambda: made(None))


def find(arch: Architecture, ask: Ask = commands.output) -> Tools:
    """Return the compiler: $CC_<arch>, a gcc that has a static C library, or zig with its own, which takes minutes."""
    abi = arch.abis[0]
    named = os.environ.get(f"CC_{abi.name}")
    gcc = shutil.which(f"{abi.gnu_prefix}gcc")
    command = named or gcc
    # It prints a path if it has the file, and else the name.
    if command and (named or "/" in ask([command, "-print-file-name=libc.a"])):
        return Tools(command, ask([*command.split(), "--version"]))
    if zig := compiler.zig():
        target = f"{abi.zig_target.partition('-')[0]}-linux-musl"
        # basename() without <libgen.h> is GNU's.
        return Tools(
            f"{' '.join(zig)} -target {target} -fno-sanitize=all",
            ask([*zig[:-1], "version"]),
            "-include libgen.h",
        )
    raise ToolMissing(
        f"kvmtool for {arch.name} needs a C compiler with a static C library: apt install gcc and libc6-dev for "
        f"{arch.triplet}, or set CC_{abi.name}"
    )


def content_hash(tree: Path) -> str:
    """Return a hash of the sources in a tree, without what make leaves there; UsageError if there are too many."""
    total, size = hashlib.sha256(), 0
    for number, path in enumerate(_sources(tree)):
        size += path.stat().st_size
        if size > _TREE_MAX or number == _FILES_MAX:
            raise UsageError(
                f"{tree} is not a source tree of kvmtool: more than {_FILES_MAX} files or {_TREE_MAX >> 20} MiB"
            )
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{content}  {path.relative_to(tree)}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    inside = sorted(folder.iterdir())
    left_out = _MADE(str(folder), [path.name for path in inside])
    for path in [path for path in inside if path.name not in left_out]:
        if path.is_dir() and not path.is_symlink():
            yield from _sources(path)
        elif path.is_file():
            yield path


def version(tree: Path) -> str:
    """Return the revision of a tree as `git describe` has it; without git the start of the hash of its sources."""
    try:
        if (tree / ".git").exists():
            return git(tree, "describe", "--always", "--tags", "--dirty", deadline=30).strip()
    except (GitFailed, ToolMissing):
        pass
    return f"sha256 {content_hash(tree)[:12]}"


def _build(tree: Path, arch: Architecture, tools: Tools, archive: Archive, chosen: Chosen | None) -> Contents:
    label = f"{KVMTOOL} for {arch.name}"
    words = [*_MAKE, f"-j{os.cpu_count() or 1}", f"ARCH={arch.kernel}", f"CC={tools.command}"]
    with tempfile.TemporaryDirectory(dir=archive.cache.scratch(), prefix="kit-") as name:
        folder = Path(name)
        # A copy: kvmtool can only be built in its own tree.
        shutil.copytree(tree, folder / "source", ignore=_MADE)
        if chosen is not None:
            words.append(f"LIBFDT_DIR={_libfdt(chosen, arch, archive, folder / 'libfdt')}")
        archive.progress(f"{label}: building it in {folder / 'source'}")
        with compiler.empty_zig_cache(folder) as variables:
            environment = (
                toolchain.plain_environment() | variables | {"CPPFLAGS": tools.flags, "LDFLAGS": "-s"}
            )
            made = folder / "source" / "lkvm-static"
            program = commands.build(words, made.parent, environment, label, made)
    if linked.read(program, arch, label).interpreter:
        raise BuildFailed(f"{label}: make lkvm-static has linked a program that is not static")
    used = () if chosen is None else (chosen.closure.entries[0].package,)
    return Contents(
        version(tree),
        f"/{_PROGRAM}",
        {_PROGRAM: program},
        packages=tuple(f"{package.name} {package.version}" for package in used),
    )


def _libfdt(chosen: Chosen, arch: Architecture, archive: Archive, folder: Path) -> Path:
    """Unpack Debian's libfdt into a folder as LIBFDT_DIR must have it, the library beside its headers; return it."""
    package = chosen.closure.entries[0].package
    folder.mkdir()
    wanted = rf"(?:\./)?usr/(?:include/[^/]+\.h|lib/{re.escape(arch.triplet)}/libfdt\.a)"
    deb.extract(archive.deb(package, f"Debian {chosen.suite} {arch.debian}"), folder, re.compile(wanted))
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.rename(folder / path.name)
    return folder
