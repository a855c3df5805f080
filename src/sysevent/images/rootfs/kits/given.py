"""Kits of programs that a user brings: an ELF file of the right machine, linked statically or with its libraries."""

from __future__ import annotations

import hashlib
import platform
import posixpath
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sysevent.arches import ARCHITECTURES, Architecture, of_machine
from sysevent.cache import Cache
from sysevent.errors import ImageError, NotApplicable, UsageError, WrongArchitecture
from sysevent.images.rootfs.kits import archive, linked
from sysevent.images.rootfs.kits.archive import Contents, Kit
from sysevent.model import Progress
from sysevent.process import die_with_parent
from sysevent.reading import read_file
from sysevent.settings import Settings
from sysevent.text import one_line, printable

# Bytes of a program; a crosvm with debug information has 300 MB.
_PROGRAM_MAX = 1 << 30
# Bytes of a library, which is one of this machine.
_LIBRARY_MAX = 256 << 20
# Seconds for `PROGRAM --version`.
_PATIENCE = 10


def kit(
    name: str, path: Path, arch: Architecture, settings: Settings, progress: Progress, root: Path = Path("/")
) -> Kit:
    """Return the kit of a program of the user's. root: where libraries of this machine are.

    Raises NotApplicable when it is for another architecture, and what libraries() raises.
    """
    program = content(name, path)
    found = architecture(name, path, program)
    if found is not arch:
        raise NotApplicable(f"{name}={path} is a program for {found.name}: give one for {arch.name} as well")
    files = libraries(name, path, program, arch, root)
    hashes = [f"{at} {hashlib.sha256(data).hexdigest()}" for at, data in sorted(files.items())]
    key = archive.key_of([name, arch.name, *hashes])

    def contents() -> Contents:
        version = (
            said_version(path) if is_own(arch) else ""
        ) or f"sha256 {hashlib.sha256(program).hexdigest()[:12]}"
        return Contents(version, f"/{guest_path(name)}", files)

    return archive.make(Cache(settings.cache), name, arch.name, key, progress, contents)


def content(name: str, path: Path) -> bytes:
    """Return the content of a program; UsageError when it cannot be read."""
    try:
        return read_file(path.expanduser(), _PROGRAM_MAX)
    except OSError as error:
        raise UsageError(f"--vmm {name}={path} cannot be read: {error.strerror}") from None


def architecture(name: str, path: Path, program: bytes) -> Architecture:
    """Return the architecture of a program; UsageError when it is not a program for one of the known ones."""
    for arch in ARCHITECTURES.values():
        try:
            linked.read(program, arch, f"--vmm {name}={path}")
        except WrongArchitecture:
            continue
        except ImageError as error:
            raise UsageError(str(error)) from None
        return arch
    raise UsageError(
        f"--vmm {name}={path} is for another machine; expected a program for {', '.join(ARCHITECTURES)}"
    )


def libraries(
    name: str, path: Path, program: bytes, arch: Architecture, root: Path = Path("/")
) -> dict[str, bytes]:
    """Return a program at its path in guests, with the libraries that it needs, from this machine.

    UsageError names one that is not here.
    """
    supply = Machine(arch, name, path.expanduser().resolve().parent, root)
    try:
        return linked.with_libraries(guest_path(name), program, arch, supply)
    except ImageError as error:
        raise UsageError(f"--vmm {name}={path} cannot run in a guest: {error}; link it statically") from None


def guest_path(name: str) -> str:
    """Return the path of a program in guests, without a slash at its start: in a folder of its own, with $ORIGIN."""
    return f"opt/{name}/bin/{name}"


class Machine:
    """The libraries of this machine: a Supply (linked.py).

    Those of its own architecture are where they are in guests; those of others are where Debian's packages of cross
    compilers have them, and beside the program if it looks there itself ($ORIGIN).
    """

    def __init__(self, arch: Architecture, name: str, beside: Path, root: Path) -> None:
        """name: of the program in guests; beside: its folder here."""
        self._arch = arch
        self._own = f"opt/{name}"
        self._beside = beside
        self._root = root

    @property
    def where(self) -> str:
        """See Supply."""
        usual = linked.usual_folders(self._arch)
        folders = [f"/{usual[0]}", f"/{usual[1]}"] if is_own(self._arch) else []
        return " or ".join([*folders, f"/usr/{self._arch.triplet}/lib", "the folders that it names itself"])

    def expect(self, names: Sequence[str]) -> None:
        """See Supply."""

    def find(self, name: str, folders: Sequence[str]) -> tuple[str, bytes] | None:
        """See Supply."""
        usual = linked.usual_folders(self._arch)
        places: list[tuple[str, Path]] = []
        for folder in folders:
            if folder.startswith(self._own):
                places.append((folder, self._beside / posixpath.relpath(folder, f"{self._own}/bin")))
            elif is_own(self._arch):
                places.append((folder, self._root / folder))
        places.append((usual[0], self._root / "usr" / self._arch.triplet / "lib"))
        for folder, place in places:
            try:
                return f"{folder}/{name}", read_file(place / name, _LIBRARY_MAX)
            except OSError:
                continue
        return None


def is_own(arch: Architecture) -> bool:
    """Return whether programs of an architecture run on this machine."""
    return of_machine(platform.machine()) is arch


def said_version(path: Path) -> str:
    """Return the first line that `PROGRAM --version` prints on this machine; "" if it fails or prints nothing."""
    try:
        ran = subprocess.run(
            die_with_parent([str(path.expanduser().resolve()), "--version"]),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if ran.returncode:
        return ""
    lines = ran.stdout.decode("utf-8", "replace").strip().splitlines()
    return printable(one_line(lines[0]))[:80] if lines else ""
