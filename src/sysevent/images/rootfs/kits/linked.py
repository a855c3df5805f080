"""Which files an ELF program needs to start: its interpreter, and the libraries that it and they name.

ld.so(8). Libraries that a program opens later, by dlopen(3), are not named in it and not found here.
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from sysevent.arches import Architecture
from sysevent.decode.elf import damage_as
from sysevent.errors import ImageError, WrongArchitecture

# Libraries of one program; QEMU has 50.
_LIBRARIES_MAX = 1000
# The attribute with the text of a dynamic tag of pyelftools.
_NAMES = {"DT_NEEDED": "needed", "DT_RUNPATH": "runpath", "DT_RPATH": "rpath"}

Files = dict[str, bytes]
"""Path in the guest, without a slash at its start -> content."""


class Supply(Protocol):
    """Where libraries come from."""

    @property
    def where(self) -> str:
        """The places that are searched, for messages."""

    def expect(self, names: Sequence[str]) -> None:
        """Prepare for find() of these names, which can be cheaper for all of them at once."""

    def find(self, name: str, folders: Sequence[str]) -> tuple[str, bytes] | None:
        """Return the path in the guest, and the content, of the first library with this name in folders.

        folders are paths in the guest, without a slash at their start. None if there is none.
        """


class Linked(msgspec.Struct, frozen=True):
    """What an ELF file says that it needs."""

    # Path of its interpreter; "" for a library, and for a program that is linked statically.
    interpreter: str
    # Names of libraries: DT_NEEDED.
    needed: tuple[str, ...]
    # Folders to search before the usual ones, with $ORIGIN: DT_RUNPATH, else DT_RPATH.
    runpath: tuple[str, ...]


def read(content: bytes, arch: Architecture, name: str) -> Linked:
    """Return what an ELF program or library needs. name is the file's, for messages.

    ImageError when it is no ELF file or a damaged one, WrongArchitecture when it is of another machine.
    """
    if not content.startswith(b"\x7fELF"):
        raise ImageError(f"{name} is not an ELF file")
    # Imported here: 30 ms.
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    def damaged(why: str) -> ImageError:
        return ImageError(f"{name} is a damaged ELF file: {why}")

    with damage_as(damaged):
        elf = ELFFile(io.BytesIO(content))
        machine = elf["e_machine"]
        if machine != arch.elf_machine:
            raise WrongArchitecture(
                f"{name} is for {machine}; expected a program for {arch.name} ({arch.elf_machine})"
            )
        if elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
            raise ImageError(f"{name} is an ELF file of type {elf['e_type']}, not a program or library")
        interpreters = [
            part.get_interp_name() for part in elf.iter_segments() if isinstance(part, InterpSegment)
        ]
        tags = [
            (str(tag.entry.d_tag), getattr(tag, _NAMES[tag.entry.d_tag]))
            for part in elf.iter_segments()
            if isinstance(part, DynamicSegment)
            for tag in part.iter_tags()
            if tag.entry.d_tag in _NAMES
        ]
    folders = {kind: text for kind, text in tags if kind != "DT_NEEDED"}
    runpath = folders.get("DT_RUNPATH") or folders.get("DT_RPATH") or ""
    needed = tuple(text for kind, text in tags if kind == "DT_NEEDED")
    return Linked(next(iter(interpreters), ""), needed, tuple(runpath.split(":")))


def with_libraries(path: str, program: bytes, arch: Architecture, supply: Supply) -> Files:
    """Return a program at its path in the guest, its interpreter, and all libraries that they need.

    ImageError names a library that the supply does not have; and what read() raises.
    """
    files = {path: program}
    linked = read(program, arch, f"/{path}")
    loader = linked.interpreter.lstrip("/")
    if loader:
        folder, _, name = loader.rpartition("/")
        # It is in one package with the C library, which has that one's name.
        supply.expect([*linked.needed, name])
        files[loader] = _found(supply, name, [folder, *usual_folders(arch)], f"/{path}")[1]
    pending = [(path, linked)]
    # A library that is loaded once counts for all that need its name.
    known = {posixpath.basename(loader)}
    # The list grows while it is read.
    for user, uses in pending:
        supply.expect([name for name in uses.needed if name not in known])
        for name in uses.needed:
            if name in known:
                continue
            known.add(name)
            at, content = _found(supply, name, [*_folders(uses, user), *usual_folders(arch)], f"/{user}")
            files[at] = content
            pending.append((at, read(content, arch, f"/{at}")))
        if len(files) > _LIBRARIES_MAX:
            raise ImageError(f"/{path} needs more than {_LIBRARIES_MAX} libraries")
    return files


def usual_folders(arch: Architecture) -> tuple[str, ...]:
    """Return where the interpreter of an architecture looks by itself: Debian's folders, then others'."""
    return (f"lib/{arch.triplet}", f"usr/lib/{arch.triplet}", "lib", "usr/lib", "lib64", "usr/lib64")


def _found(supply: Supply, name: str, folders: Sequence[str], user: str) -> tuple[str, bytes]:
    if "/" in name:
        raise ImageError(f"{user} needs the library {name[:100]!r} by its path, and only names are searched")
    found = supply.find(name, folders)
    if found is None:
        raise ImageError(f"{user} needs {name[:100]}, which is not in {supply.where}")
    return found


def _folders(linked: Linked, path: str) -> list[str]:
    origin = "/" + posixpath.dirname(path)
    words: Mapping[str, str] = {"${ORIGIN}": origin, "$ORIGIN": origin}
    found = []
    for folder in linked.runpath:
        for word, value in words.items():
            folder = folder.replace(word, value)
        if folder.startswith("/"):
            found.append(posixpath.normpath(folder).lstrip("/"))
    return found
