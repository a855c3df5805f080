"""A suite's package index: which kernels it has, and which of their headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from sysevent.errors import BadSignature
from sysevent.images.debian.release_file import is_sha256

if TYPE_CHECKING:  # slow to import, and a kernel that is cached needs none of it
    from debian.debian_support import Version

KERNELS = re.compile(
    rb"^Package: linux-(?:(?:image|binary|modules)-[0-9][a-z0-9.+-]*|libc-dev(?:-[a-z0-9]+-cross)?)$",
    re.MULTILINE,
)
_UNSIGNED = "-unsigned"


class Package(msgspec.Struct, frozen=True):
    """One .deb, as its index describes it."""

    name: str
    version: str
    filename: str  # below the mirror's base URL
    size: int
    sha256: str


class Kernel(msgspec.Struct, frozen=True):
    """The packages that make one kernel."""

    release: str  # as uname -r says it
    image: Package
    modules: Package  # the same package up to 6.x

    @property
    def version(self) -> Version:
        """Its package's version, which sorts by Debian's order."""
        from debian.debian_support import Version

        return Version(self.image.version)


def parse(index: bytes, name: str, wanted: re.Pattern[bytes] = KERNELS) -> tuple[Package, ...]:
    """The wanted packages of a decompressed Packages file; BadSignature when one makes no sense.

    A Packages file has 60 MB and a dozen kernels, so only the paragraphs whose first line matches are looked at.
    """
    from debian import deb822

    found = []
    for match in wanted.finditer(index):
        start = index.rfind(b"\n\n", 0, match.start()) + 1
        end = index.find(b"\n\n", match.end())
        fields = deb822.Deb822(index[start : end if end >= 0 else len(index)].strip(b"\n"), encoding="utf-8")
        sha256, size, filename = (fields.get(key, "") for key in ("SHA256", "Size", "Filename"))
        if (
            not is_sha256(sha256)
            or not size.isdecimal()
            or not _inside(filename)
            or not fields.get("Version")
        ):
            raise BadSignature(
                f"{name}: the entry of {fields.get('Package')} lacks a version, file, size or hash"
            )
        found.append(Package(fields["Package"], fields["Version"], filename, int(size), sha256))
    return tuple(found)


def best(packages: Sequence[Package], patterns: Iterable[str]) -> Kernel | None:
    """The newest kernel of the first pattern that has one; None when none has."""
    for pattern in patterns:
        if kernels := _matching(packages, pattern):
            # On equal versions the signed package wins: see images/tracks.toml.
            return max(kernels, key=lambda k: (k.version, not k.image.name.endswith(_UNSIGNED)))
    return None


def _matching(packages: Sequence[Package], pattern: str) -> list[Kernel]:
    expression = re.compile("[^-]*".join(map(re.escape, pattern.split("*"))) + f"(?:{_UNSIGNED})?")
    modules = {(p.name, p.version): p for p in packages if p.name.startswith("linux-modules-")}
    kernels = []
    for package in packages:
        if not expression.fullmatch(package.name):
            continue
        release = re.sub(r"^linux-(image|binary)-", "", package.name).removesuffix(_UNSIGNED)
        if package.name.startswith("linux-image-"):
            kernels.append(Kernel(release, package, package))
        # Backports keeps old linux-binary-* for months after their linux-modules-* have gone.
        elif companion := modules.get((f"linux-modules-{release}", package.version)):
            kernels.append(Kernel(release, package, companion))
    return kernels


def _inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")
