"""A suite's package index: its kernels and the packages of their headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from sysevent.errors import BadSignature
from sysevent.images.debian.release_file import is_sha256, is_size
from sysevent.text import one_line, printable

# Slow to import, and not needed for a kernel that is cached.
if TYPE_CHECKING:
    from debian.debian_support import Version

KERNELS = re.compile(
    rb"^Package: linux-(?:(?:image|binary|modules)-[0-9][a-z0-9.+-]*|libc-dev(?:-[a-z0-9]+-cross)?)$",
    re.MULTILINE,
)
# Debian Policy, 5.6.7.
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
# Bytes of an entry of an index; the longest ones, with hundreds of dependencies, have 20 KB.
_ENTRY_MAX = 1 << 18
# Entries of an index that match; a suite has 200.
_PACKAGES_MAX = 20_000
# Bytes of a package. The kernels' debug information, which is never fetched, has one gigabyte.
_SIZE_MAX = 4 << 30
# Characters of a version; the longest ones have 50.
_VERSION_MAX = 200
_UNSIGNED = "-unsigned"


class Package(msgspec.Struct, frozen=True):
    """One .deb, as the index describes it."""

    name: str
    version: str
    # Path below the mirror's base URL.
    filename: str
    # Bytes.
    size: int
    sha256: str


class Kernel(msgspec.Struct, frozen=True):
    """The packages of one kernel."""

    # The kernel release, as uname -r prints it.
    release: str
    image: Package
    # The same package as image up to 6.x.
    modules: Package

    @property
    def version(self) -> Version:
        """The version of the image's package, which compares in Debian's order."""
        from debian.debian_support import Version

        return Version(self.image.version)

    @property
    def unsigned(self) -> bool:
        """Whether the image's package is the unsigned twin of a signed one: its modules taint the kernel."""
        return self.image.name.endswith(_UNSIGNED)


def parse(index: bytes, name: str, wanted: re.Pattern[bytes] = KERNELS) -> tuple[Package, ...]:
    """Return the packages of a decompressed Packages file whose first line matches wanted.

    A Packages file has 60 MB and a dozen kernels, so no other paragraph is parsed. name is the file's, for
    messages. BadSignature when an entry lacks a field or has an invalid one.
    """
    found: list[Package] = []
    # Where the entry before this one ends.
    before = 0
    for match in wanted.finditer(index):
        if match.start() < before:
            raise BadSignature(f"{name}: an entry has two names")
        # The blank line in front of the entry, if it is not the first one.
        start = index.rfind(b"\n\n", before, match.start())
        end = index.find(b"\n\n", match.end())
        before = end if end >= 0 else len(index)
        found.append(_package(index[max(start, 0) : before].strip(b"\n"), name))
        if len(found) > _PACKAGES_MAX:
            raise BadSignature(f"{name}: more than {_PACKAGES_MAX} entries of kernels")
    return tuple(found)


def _package(entry: bytes, name: str) -> Package:
    return package_of(fields_of(entry, name), name)


def fields_of(entry: bytes, name: str) -> Mapping[str, str]:
    """Return the fields of an entry of the index called name; BadSignature when it is not valid."""
    from debian import deb822

    if len(entry) > _ENTRY_MAX:
        raise BadSignature(f"{name}: an entry has {len(entry)} bytes, more than {_ENTRY_MAX}")
    try:
        return deb822.Deb822(entry.decode("utf-8"))
    except ValueError as error:
        raise _invalid(name, error) from None


def package_of(fields: Mapping[str, str], name: str) -> Package:
    """Return the package of an entry's fields in the index called name; BadSignature when one is not valid."""
    from debian.debian_support import Version

    try:
        # Raises ValueError for one that has no place in Debian's order.
        version = str(Version(fields.get("Version", "")))
    except ValueError as error:
        raise _invalid(name, error) from None
    package, filename, size, sha256 = (
        fields.get(key, "") for key in ("Package", "Filename", "Size", "SHA256")
    )
    # Python refuses to compare numbers with thousands of digits.
    named = _NAME.fullmatch(package) and len(version) <= _VERSION_MAX
    valid = named and is_sha256(sha256) and is_size(size) and _is_relative(filename)
    if not valid or int(size) > _SIZE_MAX:
        raise BadSignature(
            f"{name}: the entry of {printable(package[:80])} has no valid version, file name, size or hash"
        )
    return Package(package, version, filename, int(size), sha256)


def _invalid(name: str, error: ValueError) -> BadSignature:
    return BadSignature(f"{name}: an invalid entry: {one_line(error)[:200]}")


def best(packages: Sequence[Package], patterns: Iterable[str]) -> Kernel | None:
    """Return the newest kernel of the first pattern that matches any; None if no pattern does."""
    for pattern in patterns:
        expression = "[^-]*".join(map(re.escape, pattern.split("*")))
        if kernels := matching(packages, expression):
            # On equal versions the signed package wins: see images/tracks.toml.
            return max(kernels, key=lambda k: (k.version, not k.unsigned))
    return None


def matching(packages: Sequence[Package], expression: str) -> list[Kernel]:
    """Return the kernels whose package has a name that a regular expression matches, or "-unsigned" behind it.

    linux-image-R holds kernel and modules; since 6.19 linux-binary-R and linux-modules-R hold one each, and
    linux-image-R is empty. Both forms are recognised. A kernel whose modules were removed is left out: it
    cannot be booted.
    """
    name = re.compile(f"(?:{expression})(?:{_UNSIGNED})?")
    modules = {(p.name, p.version): p for p in packages if p.name.startswith("linux-modules-")}
    kernels = []
    for package in packages:
        if not name.fullmatch(package.name):
            continue
        release = re.sub(r"^linux-(image|binary)-", "", package.name).removesuffix(_UNSIGNED)
        if package.name.startswith("linux-image-"):
            kernels.append(Kernel(release, package, package))
        # Backports keeps old linux-binary-* for months after their linux-modules-* were removed.
        elif companion := modules.get((f"linux-modules-{release}", package.version)):
            kernels.append(Kernel(release, package, companion))
    return kernels


def _is_relative(path: str) -> bool:
    """Return whether a path stays below the mirror's base URL."""
    return bool(path) and path.isprintable() and not path.startswith("/") and ".." not in path.split("/")
