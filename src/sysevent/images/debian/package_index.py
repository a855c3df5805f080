"""A suite's package index: its kernels and the packages of their headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from sysevent.errors import BadSignature
from sysevent.images.debian.release_file import is_sha256

# Slow to import, and not needed for a kernel that is cached.
if TYPE_CHECKING:
    from debian.debian_support import Version

KERNELS = re.compile(
    rb"^Package: linux-(?:(?:image|binary|modules)-[0-9][a-z0-9.+-]*|libc-dev(?:-[a-z0-9]+-cross)?)$",
    re.MULTILINE,
)
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
    from debian import deb822

    found = []
    for match in wanted.finditer(index):
        start = index.rfind(b"\n\n", 0, match.start()) + 1
        end = index.find(b"\n\n", match.end())
        fields = deb822.Deb822(index[start : end if end >= 0 else len(index)].strip(b"\n"), encoding="utf-8")
        sha256, size, filename = (fields.get(key, "") for key in ("SHA256", "Size", "Filename"))
        valid = is_sha256(sha256) and size.isdecimal() and _is_relative(filename)
        if not valid or not fields.get("Version"):
            raise BadSignature(
                f"{name}: the entry of {fields.get('Package')} has no valid version, file name, size or hash"
            )
        found.append(Package(fields["Package"], fields["Version"], filename, int(size), sha256))
    return tuple(found)


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
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")
