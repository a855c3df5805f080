"""Kernel modules: where they are, what they depend on, in which order they load."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from sysevent.errors import ImageError
from sysevent.images import compression

MODULE_NAME = re.compile(r"([^/]+)\.ko(\.xz|\.gz|\.zst)?$")


class Module(msgspec.Struct, frozen=True):
    """One module as finit_module wants it: Debian's kernels are built without decompression in the kernel."""

    name: str  # with underscores, as in /proc/modules
    data: bytes
    depends: tuple[str, ...]
    vermagic: str
    machine: str  # pyelftools' name of e_machine


class FileModules(msgspec.Struct, frozen=True):
    """A collection of module files, by path, and how to read one."""

    where: str  # for messages
    paths: tuple[str, ...]
    read: Callable[[str], bytes]

    def index(self) -> dict[str, str]:
        """Module name -> path. What stands below updates/ goes before the rest (depmod.d(5))."""
        index: dict[str, str] = {}
        for path in sorted(self.paths, key=lambda p: ("updates" not in p.split("/"), p)):
            if match := MODULE_NAME.search(path):
                index.setdefault(normal(match.group(1)), path)
        return index


def normal(name: str) -> str:
    """The kernel takes '-' and '_' in module names for the same."""
    return name.replace("-", "_")


def directory(path: Path) -> FileModules:
    """The modules below a directory: an installed lib/modules/R, or a built kernel tree.

    A tree has tens of thousands of files, but lists its modules in modules.order (.ko up to 6.3, .o later).
    """
    order = path / "modules.order"
    if (path / "include" / "config" / "kernel.release").exists() and order.exists():
        lines = [re.sub(r"\.k?o$", ".ko", line) for line in order.read_text(encoding="utf-8").split()]
        return FileModules(str(path), tuple(lines), lambda name: (path / name).read_bytes())
    found: list[str] = []
    for root, directories, names in os.walk(
        path
    ):  # does not follow links, such as build -> the kernel's source
        directories.sort()
        here = Path(root).relative_to(path)
        found += [str(here / name) for name in sorted(names) if MODULE_NAME.search(name)]
    return FileModules(str(path), tuple(found), lambda name: (path / name).read_bytes())


def closure(wanted: Iterable[str], files: FileModules) -> tuple[Module, ...]:
    """The wanted modules with all that they depend on, each after what it needs.

    A wanted module that is not there counts as built in, and is left out. ImageError when a dependency is
    missing (dependencies are only ever modules) or a file is not a module.
    """
    index = files.index()
    loaded: dict[str, Module] = {}
    path: list[str] = []

    def visit(name: str) -> None:
        if name in loaded:
            return
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
    """Read and decompress one module; ImageError when it is none."""
    from elftools.common.exceptions import ELFError  # here: slow to import; read modules are kept
    from elftools.elf.elffile import ELFFile

    what = f"{path} in {files.where}"
    try:
        data = _decompress(files.read(path), path, what)
    except OSError as error:  # gzip.BadGzipFile is one, too
        raise ImageError(f"cannot read the module {what}: {error}") from None
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ImageError(f"the module {what} is damaged or cut off: {error}") from None
    try:
        elf = ELFFile(io.BytesIO(data))
        section = elf.get_section_by_name(".modinfo")
        machine = str(elf["e_machine"])
        info = parse_modinfo(section.data()) if section is not None else None
    except (ELFError, ValueError) as error:
        raise ImageError(f"{what} is not a kernel module: {error}") from None
    if info is None:
        raise ImageError(f"{what} is not a kernel module: it has no .modinfo")
    depends = tuple(normal(d) for d in info.get("depends", "").split(",") if d)
    return Module(name, data, depends, info.get("vermagic", ""), machine)


def parse_modinfo(section: bytes) -> dict[str, str]:
    """NUL-separated key=value pairs (include/linux/moduleparam.h); the first of a key counts."""
    info: dict[str, str] = {}
    for item in section.split(b"\0"):
        key, equals, value = item.decode("utf-8", "replace").partition("=")
        if equals:
            info.setdefault(key, value)
    return info


def check(modules: Sequence[Module], elf_machine: str, release: str, where: str) -> None:
    """ImageError when a module cannot load into this kernel, which would only say "Invalid module format".

    With CONFIG_MODVERSIONS the kernel leaves the release in vermagic out of the comparison
    (same_magic(), kernel/module/version.c), and so does this.
    """
    for module in modules:
        if module.machine != elf_machine:
            raise ImageError(
                f"module {module.name} in {where} is for {module.machine}, the kernel for {elf_machine}"
            )
        made_for = module.vermagic.split(" ", 1)[0]
        if release and made_for and made_for != release and "modversions" not in module.vermagic:
            raise ImageError(
                f"module {module.name} in {where} is for Linux {made_for}, the kernel is {release}"
            )


def _decompress(data: bytes, path: str, what: str) -> bytes:
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".gz"):
        return gzip.decompress(data)
    if path.endswith(".zst"):
        return compression.unzstd(data, what)
    return data
