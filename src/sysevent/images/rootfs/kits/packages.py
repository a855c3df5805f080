"""Kits out of Debian's packages: the program of a recipe, its libraries, and the data that it reads."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture
from sysevent.cache import Cache
from sysevent.errors import DownloadFailed, ImageError, NotApplicable
from sysevent.images.debian import deb, track_resolution
from sysevent.images.debian.archive import FRESH, Archive, Suite
from sysevent.images.debian.catalogue import Catalogue, Closure, Entry
from sysevent.images.debian.package_index import Package
from sysevent.images.download import Gone, LengthMismatch
from sysevent.images.rootfs.kits import archive as kit_archive
from sysevent.images.rootfs.kits import linked
from sysevent.images.rootfs.kits.archive import Contents, Kit
from sysevent.images.rootfs.kits.recipes import Recipe

# Files that can be libraries: their names, and those of links to them.
_LIBRARIES = re.compile(r"(?:\./)?(?:usr/)?lib(?:64)?/(?:.*/)?[^/]+\.so(?:\.[^/]*)?")


class Meaning(msgspec.Struct, frozen=True):
    """What the name of a kit means today on one architecture."""

    # As the settings had it; "" for the one in this machine's apt configuration.
    mirror: str
    # As the settings had it; "" for the installed one.
    keyring: str
    # Hash of the recipe at the time.
    rule: str
    suite: str
    # Hash of the package index.
    index: str
    # Of the kit's archive.
    key: str
    # Unix time at which the mirror was asked.
    checked: float


class Chosen(msgspec.Struct, frozen=True):
    """A suite that has the version of a recipe: the program's package, and all that it depends on."""

    suite: str
    # Hash of the package index.
    index: str
    closure: Closure
    # Unix time at which the mirror was asked.
    checked: float


Make = Callable[[Recipe, Architecture, Chosen, Archive], Contents]
"""Returns the files of a kit."""


def kit(
    recipe: Recipe,
    arch: Architecture,
    archive: Archive,
    make: Make | None = None,
    parts: Sequence[str] = (),
    name: str = "",
) -> Kit:
    """Return the kit of a recipe; the mirror is asked at most once a day, and never offline.

    make: what makes its files out of the packages; by default contents(). parts: what it is made of besides. name: of
    the kit, if it is not the recipe's.

    Raises NotApplicable when no suite has the program, NotCached, DownloadFailed, BadSignature and ImageError.
    """
    cache, settings = archive.cache, archive.settings
    name = name or recipe.name
    note = cache.root / kit_archive.FOLDER / f"{name}-{arch.name}.json"
    known = cache.read(note, Meaning)
    rule = kit_archive.key_of([msgspec.json.encode(recipe).decode(), name, arch.name, *parts])
    asked = (settings.mirror or "", str(settings.keyring or ""), rule)
    if known and (known.mirror, known.keyring, known.rule) != asked:
        known = None
    found = known and kit_archive.stored(cache, name, arch.name, known.key)
    if known and found and (settings.offline or time.time() - known.checked < FRESH):
        return found
    try:
        # With a kit at hand, one attempt is enough: a dead mirror must not delay the run.
        once = msgspec.structs.replace(archive, attempts=1) if found else archive
        chosen = choose(recipe, arch, once)
    except DownloadFailed as error:
        if not found:
            raise
        archive.progress(f"{name} for {arch.name}: the mirror failed ({error}); using the kit at hand")
        return found
    key = kit_archive.key_of([rule, *(entry.package.sha256 for entry in chosen.closure.entries)])
    made = kit_archive.make(
        cache,
        name,
        arch.name,
        key,
        archive.progress,
        lambda: (make or contents)(recipe, arch, chosen, archive),
    )
    cache.record(note, Meaning(*asked, chosen.suite, chosen.index, key, chosen.checked))
    return made


def choose(recipe: Recipe, arch: Architecture, archive: Archive) -> Chosen:
    """Return the first suite of a recipe that has its version for an architecture. Raises what kit() raises."""
    absent: list[str] = []
    # True: the mirror lacks a suite, which another mirror may have.
    unknown = False
    for name in recipe.suites:
        try:
            suite, read = track_resolution.fetch(
                name, archive, lambda suite, by_hash: _read(suite, arch, archive, by_hash), refresh=False
            )
        except (Gone, LengthMismatch) as error:
            unknown = True
            absent.append(f"{name} is not on the mirror ({error})")
            continue
        if read is None:
            absent.append(f"{name} has no {arch.debian}")
            continue
        index, catalogue = read
        names = recipe.packages[arch.name]
        root = next((entry for package in names if (entry := catalogue.newest(package))), None)
        if root is None:
            absent.append(f"{name} has no {' or '.join(names)} for {arch.debian}")
        elif not upstream(root.package.version).startswith(recipe.version):
            absent.append(f"{name} has {root.package.name} {root.package.version}")
        else:
            return Chosen(name, index, catalogue.closure([root]), suite.checked)
    why = f"no {recipe.name} for {arch.name}: {'; '.join(absent)}"
    if unknown:
        raise DownloadFailed(f"{why}; --mirror URL names a mirror that has it, such as one of old releases")
    raise NotApplicable(why)


def _read(suite: Suite, arch: Architecture, archive: Archive, by_hash: bool) -> tuple[str, Catalogue] | None:
    catalogue = archive.catalogue(suite, arch.debian, by_hash=by_hash)
    entry = suite.release_file.index(arch.debian)
    return (entry[1].sha256, catalogue) if catalogue and entry else None


def upstream(version: str) -> str:
    """Return the upstream part of a package's version with a dot behind it: "10.0.2." of 1:10.0.2+ds-2."""
    return re.sub(r"[^\d.].*", "", version.partition(":")[2] or version) + "."


def contents(recipe: Recipe, arch: Architecture, chosen: Chosen, archive: Archive) -> Contents:
    """Return the files of a kit out of its packages. Raises ImageError, and what Archive.deb() raises."""
    root, *others = chosen.closure.entries
    path = f"usr/bin/{arch.qemu}"
    packages = Packages(others, archive, f"Debian {chosen.suite} {arch.debian}", chosen.closure.unmet)
    with tempfile.TemporaryDirectory(dir=archive.cache.scratch(), prefix="kit-") as folder:
        program = packages.files(root, re.compile(rf"(?:\./)?{re.escape(path)}"), Path(folder))
        if path not in program:
            raise ImageError(f"{root.package.filename} holds no {path}; earlier versions of the package did")
        packages.open(root, Path(folder))
        files = linked.with_libraries(path, program[path], arch, packages)
        data = _data(recipe.data.get(arch.name, {}), chosen.closure, packages, Path(folder))
    return Contents(
        root.package.version,
        f"/{path}",
        files | data,
        frozenset(data),
        tuple(f"{package.name} {package.version}" for package in packages.used),
        chosen.suite,
    )


def _data(
    wanted: Mapping[str, Sequence[str]], closure: Closure, packages: Packages, folder: Path
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, paths in wanted.items():
        entry = next((entry for entry in closure.entries if entry.package.name == name), None)
        if entry is None:
            raise ImageError(f"{closure.entries[0].package.name} does not depend on {name} any more")
        names = "|".join(map(re.escape, paths))
        found |= packages.files(entry, re.compile(rf"(?:\./)?(?:{names})"), folder)
        if missing := [path for path in paths if path not in found]:
            raise ImageError(f"{entry.package.filename} holds no {missing[0]}; earlier versions did")
    return found


class Packages:
    """The libraries in the packages of a closure: a Supply (linked.py). A package is fetched when it is needed."""

    def __init__(
        self, entries: Sequence[Entry], archive: Archive, label: str, unmet: Sequence[str] = ()
    ) -> None:
        """label is for progress, unmet what the suite lacks, for messages."""
        # A package for all architectures has no libraries of one.
        self._closed = [entry for entry in entries if entry.arch != "all"]
        self._archive = archive
        self._label = label
        self._unmet = unmet
        self._folder: Path | None = None
        # Path in a package -> the package that has it.
        self._owners: dict[str, Package] = {}
        self._files: dict[str, bytes] = {}
        self._used: dict[str, Package] = {}

    @property
    def where(self) -> str:
        """See Supply."""
        lacking = f" (which has no {', '.join(self._unmet[:3])})" if self._unmet else ""
        return f"the packages that it depends on in {self._label}{lacking}: report it with this line"

    @property
    def used(self) -> tuple[Package, ...]:
        """The packages of which something was used, by name."""
        return tuple(self._used[name] for name in sorted(self._used))

    def files(self, entry: Entry, wanted: re.Pattern[str], folder: Path) -> dict[str, bytes]:
        """Return the files of a package whose paths match, which then counts as used; folder is for temporary files."""
        self._used[entry.package.name] = entry.package
        return self._extract(entry, wanted, folder)

    def open(self, entry: Entry, folder: Path) -> None:
        """Find the libraries in a package; folder is for temporary files."""
        self._folder = folder
        for path, content in self._extract(entry, _LIBRARIES, folder).items():
            self._files.setdefault(path, content)
            self._owners.setdefault(path, entry.package)

    def _extract(self, entry: Entry, wanted: re.Pattern[str], folder: Path) -> dict[str, bytes]:
        blob = self._archive.deb(entry.package, self._label)
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            deb.extract(blob, Path(inside), wanted)
            return {
                path.relative_to(inside).as_posix(): path.read_bytes()
                for path in sorted(Path(inside).rglob("*"))
                if path.is_file()
            }

    def expect(self, names: Sequence[str]) -> None:
        """See Supply: open the packages that have the names which Debian gives to packages of these libraries."""
        likely = {package_name(name) for name in names}
        for entry in [entry for entry in self._closed if entry.package.name.removesuffix("t64") in likely]:
            self._open_next(entry)

    def _open_next(self, entry: Entry) -> None:
        assert self._folder is not None
        self._closed.remove(entry)
        self.open(entry, self._folder)

    def find(self, name: str, folders: Sequence[str]) -> tuple[str, bytes] | None:
        """See Supply. If no open package has it, the others are opened, the nearest first."""
        while True:
            for folder in folders:
                for path in _spellings(f"{folder}/{name}"):
                    if path in self._files:
                        owner = self._owners[path]
                        self._used[owner.name] = owner
                        return f"{folder}/{name}", self._files[path]
            if not self._closed:
                return None
            self._open_next(self._closed[0])


def _spellings(path: str) -> Iterator[str]:
    """Yield a path, and the one that is the same since /lib is a link to /usr/lib (Debian 12)."""
    yield path
    yield path.removeprefix("usr/") if path.startswith("usr/") else f"usr/{path}"


def package_name(library: str) -> str:
    """Return what the package of a library is usually called (Debian Policy, 8.1): libpixman-1-0 of libpixman-1.so.0.

    Without "t64", which it has where it was renamed for 64-bit times.
    """
    base, _, version = library.partition(".so")
    version = version.removeprefix(".")
    if not version:
        # libfoo-1.2.so
        base, _, version = base.rpartition("-")
    hyphen = "-" if base[-1:].isdigit() else ""
    return f"{base}{hyphen}{version}".lower().replace("_", "-")


def meanings(cache: Cache) -> Mapping[str, Meaning]:
    """Return what the names of kits mean, as of the last time the mirror was asked, by "NAME-ARCH"."""
    paths = sorted((cache.root / kit_archive.FOLDER).glob("*.json"))
    return {path.stem: found for path in paths if (found := cache.read(path, Meaning))}
