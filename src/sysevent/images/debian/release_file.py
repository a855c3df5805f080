"""A suite's release file: the signed list of its indices.

Debian's wiki, DebianRepository/Format: sections "Release" files and by-hash.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from sysevent.errors import BadSignature
from sysevent.images.download import Expected
from sysevent.text import one_line, printable

# Bytes of a compressed package index; the largest of Debian has 10 MB.
_INDEX_MAX = 128 << 20


class ReleaseFile(msgspec.Struct, frozen=True):
    """The signed part of an InRelease file."""

    # The name by which the suite was asked for.
    suite: str
    date: datetime | None
    valid_until: datetime | None
    architectures: frozenset[str]
    # True: the mirror also has every index under its hash.
    by_hash: bool
    # By path below dists/SUITE.
    files: Mapping[str, Expected]

    def index(self, debian_arch: str) -> tuple[str, Expected] | None:
        """Return path (below dists/SUITE), size and hash of the package index of main.

        None if the suite does not have the architecture, which is in Debian's name. BadSignature when it is too large.
        """
        path = f"main/binary-{debian_arch}/Packages.xz"
        if debian_arch not in self.architectures or path not in self.files:
            return None
        expected = self.files[path]
        if expected.size > _INDEX_MAX:
            raise BadSignature(
                f"{self.suite}: {path} has {expected.size} bytes; at most {_INDEX_MAX} are read"
            )
        return path, expected


def parse(content: bytes, asked: str, name: str) -> ReleaseFile:
    """Parse the content that a signature covers; asked is the suite, name the file's name for messages.

    BadSignature when it is the file of another suite, which a mirror could send validly signed, or when it is
    not a release file.
    """
    # Imported here: slow, and not needed for a cached kernel.
    from debian import deb822

    try:
        fields = deb822.Deb822(content.decode("utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise BadSignature(f"{name}: not a release file: {one_line(error)[:200]}") from None
    suite, codename = fields.get("Suite", ""), fields.get("Codename", "")
    if asked not in (suite, codename):
        raise BadSignature(
            f"{name} is the release file of {_shown(codename)} ({_shown(suite)}), not of {asked}"
        )
    files: dict[str, Expected] = {}
    for line in fields.get("SHA256", "").splitlines():
        columns = line.split()
        if not columns:
            continue
        if len(columns) != 3 or not is_sha256(columns[0]) or not is_size(columns[1]):
            raise BadSignature(f"{name}: not a line with hash, size and path: {line.strip()[:80]!r}")
        if columns[2] in files:
            raise BadSignature(f"{name}: two lines for {columns[2][:80]!r}")
        files[columns[2]] = Expected(int(columns[1]), columns[0].lower())
    return ReleaseFile(
        suite=asked,
        date=_date(fields.get("Date", "")),
        valid_until=_date(fields.get("Valid-Until", "")),
        architectures=frozenset(fields.get("Architectures", "").split()),
        by_hash=fields.get("Acquire-By-Hash", "").lower() == "yes",
        files=files,
    )


def is_sha256(text: str) -> bool:
    """Return whether text is 64 lower-case hexadecimal digits. Such a text becomes a file name."""
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def is_size(text: str) -> bool:
    """Return whether text is a number of bytes, less than a petabyte, in ASCII digits."""
    return text.isascii() and text.isdecimal() and len(text) < 16


def _shown(name: str) -> str:
    return printable(name[:40]) or "?"


def _date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    # Besides ValueError, by which it means no date, it raises these for some numbers.
    except (ValueError, OverflowError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
