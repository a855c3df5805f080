"""Kernel modules: their files, their dependencies, the order in which they load."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from sysevent.decode.elf import damage_as
from sysevent.errors import ImageError
from sysevent.images import compression
from sysevent.reading import read_file

# Bytes of a module, also decompressed. With debug information the largest have 100 MB.
SIZE_MAX = 256 << 20
# Modules that are loaded together; KVM needs three.
_LOADED_MAX = 100
# Files below a directory of modules; a whole Debian kernel has 8000.
_FILES_MAX = 200_000

MODULE_NAME = re.compile(r"([^/]+)\.ko(\.xz|\.gz|\.zst)?$")


class Module(msgspec.Struct, frozen=True):
    """One module, decompressed: Debian's kernels are built without CONFIG_MODULE_DECOMPRESS."""

    # With underscores, as in /proc/modules.
    name: str
    data: bytes
    depends: tuple[str, ...]
    vermagic: str
    # pyelftools' name of e_machine, such as "EM_AARCH64". The cache has it as "machine".
    elf_machine: str = msgspec.field(name="machine")


class FileModules(msgspec.Struct, frozen=True):
    """A set of module files, by path, with a function that reads one of them."""

    # Where they are, for messages.
    where: str
    paths: tuple[str, ...]
    # Returns the bytes of the file at one of the paths; raises OSError or ImageError.
    read: Callable[[str], bytes]

    def index(self) -> dict[str, str]:
        """Return module name -> path. A module below updates/ is preferred to one elsewhere (depmod.d(5))."""
        index: dict[str, str] = {}
        for path in sorted(self.paths, key=lambda p: ("updates" not in p.split("/"), p)):
            if match := MODULE_NAME.search(path):
                index.setdefault(normal(match.group(1)), path)
        return index


def normal(name: str) -> str:
    """Return a module's name with underscores: the kernel treats '-' and '_' in module names alike."""
    return name.replace("-", "_")


def directory(path: Path) -> FileModules:
    """Return the modules below a directory: an installed lib/modules/R, or a built kernel tree.

    A tree has tens of thousands of files, but lists its modules in modules.order (.ko up to 6.3, .o later).
    """
    order = path / "modules.order"
    if (path / "include" / "config" / "kernel.release").exists() and order.exists():
        lines = [re.sub(r"\.k?o$", ".ko", line) for line in order.read_text(encoding="utf-8").split()]
        return FileModules(str(path), tuple(lines), lambda name: read_file(path / name, SIZE_MAX))
    found: list[str] = []
    # os.walk() does not follow symbolic links, such as build, which leads to the kernel's source.
    seen = 0
    for root, directories, names in os.walk(path):
        directories.sort()
        seen += len(names) + len(directories)
        if seen > _FILES_MAX:
            raise ImageError(
                f"{path} has more than {_FILES_MAX} files; name the directory that has only the modules of the kernel, "
                "such as lib/modules/RELEASE"
            )
        here = Path(root).relative_to(path)
        found += [str(here / name) for name in sorted(names) if MODULE_NAME.search(name)]
    return FileModules(str(path), tuple(found), lambda name: read_file(path / name, SIZE_MAX))


def closure(wanted: Iterable[str], files: FileModules) -> tuple[Module, ...]:
    """Return the wanted modules and all their dependencies, each after the modules that it needs.

    A wanted module without a file counts as built in and is left out. ImageError when a dependency is missing
    (depends in .modinfo lists modules only, never built-in code), when modules depend on each other in a
    circle, or when a file is not a module.
    """
    index = files.index()
    loaded: dict[str, Module] = {}
    path: list[str] = []

    def visit(name: str) -> None:
        if name in loaded:
            return
        if len(loaded) + len(path) >= _LOADED_MAX:
            raise ImageError(f"modules in {files.where} need more than {_LOADED_MAX} modules")
        if name in path:
            raise ImageError(f"modules in {files.where} depend on each other: {' -> '.join([*path, name])}")
        if name not in index:
            raise ImageError(f"module {path[-1]} needs {name}, which is not in {files.where}")
        module = load(name, index[name], files)
        path.append(name)
        for dependency in module.depends:
            visit(dependency)
        path.pop()
        loaded[name] = module

    for name in map(normal, wanted):
        if name in index:
            visit(name)
    return tuple(loaded.values())


def load(name: str, path: str, files: FileModules) -> Module:
    """Read and decompress the module name at path; ImageError when it cannot be read or is not a module."""
    # Imported here: slow, and modules that were read are cached.
    from elftools.elf.elffile import ELFFile

    what = f"{path} in {files.where}"
    try:
        data = files.read(path)
    except OSError as error:
        raise ImageError(f"cannot read the module {what}: {error.strerror or error}") from None
    kind = compression.SUFFIXES.get(Path(path).suffix)
    if kind is not None:
        data = compression.decompress(kind, data, f"the module {what}", SIZE_MAX)
    with damage_as(lambda why: ImageError(f"{what} is not a kernel module: {why}")):
        elf = ELFFile(io.BytesIO(data))
        section = elf.get_section_by_name(".modinfo")
        machine = str(elf["e_machine"])
        if section is not None and section.compressed:
            raise ImageError(f"{what} is not a kernel module: its .modinfo section is compressed")
        info = parse_modinfo(section.data()) if section is not None else None
    if info is None:
        raise ImageError(f"{what} is not a kernel module: it has no .modinfo section")
    depends = tuple(normal(d) for d in info.get("depends", "").split(",") if d)
    return Module(name, data, depends, info.get("vermagic", ""), machine)


def parse_modinfo(section: bytes) -> dict[str, str]:
    """Return the NUL-separated key=value pairs of .modinfo (include/linux/moduleparam.h); the first of a key counts."""
    info: dict[str, str] = {}
    for item in section.split(b"\0"):
        key, equals, value = item.decode("utf-8", "replace").partition("=")
        if equals:
            info.setdefault(key, value)
    return info


def check(modules: Sequence[Module], elf_machine: str, release: str, where: str) -> None:
    """Raise ImageError when a module is for another kernel, which would only report "Invalid module format".

    elf_machine is the kernel's, in pyelftools' name; where says in messages which modules these are. release
    "" is not compared, and neither is one with CONFIG_MODVERSIONS, as in the kernel (same_magic(),
    kernel/module/version.c).
    """
    for module in modules:
        if module.elf_machine != elf_machine:
            raise ImageError(
                f"module {module.name} in {where} is for {module.elf_machine}, the kernel for {elf_machine}"
            )
        made_for = module.vermagic.split(" ", 1)[0]
        if release and made_for and made_for != release and "modversions" not in module.vermagic:
            raise ImageError(
                f"module {module.name} in {where} is for Linux {made_for}, the kernel is {release}"
            )
