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


class Release(msgspec.Struct, frozen=True):
    """What the signed part of an InRelease file says."""

    suite: str
    date: datetime | None
    valid_until: datetime | None
    architectures: frozenset[str]
    by_hash: bool
    files: Mapping[str, Expected]

    def index(self, debian_arch: str) -> tuple[str, Expected] | None:
        """Path (below dists/SUITE) and hash of the packages of main; None when the suite has no such arch."""
        path = f"main/binary-{debian_arch}/Packages.xz"
        if debian_arch not in self.architectures or path not in self.files:
            return None
        return path, self.files[path]


def parse(content: bytes, asked: str, name: str) -> Release:
    """Read the content that a signature covers; BadSignature when it is another suite's, or no release file.

    Without the comparison a mirror could answer with the validly signed file of another suite.
    """
    from debian import deb822  # here: slow to import, and a cached kernel needs no release file

    fields = deb822.Deb822(content, encoding="utf-8")
    suite, codename = fields.get("Suite", ""), fields.get("Codename", "")
    if asked not in (suite, codename):
        raise BadSignature(
            f"{name} is the release file of {codename or '?'} ({suite or '?'}), not of {asked}"
        )
    files: dict[str, Expected] = {}
    for line in fields.get("SHA256", "").splitlines():
        columns = line.split()
        if not columns:
            continue
        if len(columns) != 3 or not is_sha256(columns[0]) or not columns[1].isdecimal():
            raise BadSignature(f"{name}: not a line of hash, size and path: {line.strip()[:80]!r}")
        files[columns[2]] = Expected(int(columns[1]), columns[0].lower())
    return Release(
        suite=asked,
        date=_date(fields.get("Date", "")),
        valid_until=_date(fields.get("Valid-Until", "")),
        architectures=frozenset(fields.get("Architectures", "").split()),
        by_hash=fields.get("Acquire-By-Hash", "").lower() == "yes",
        files=files,
    )


def is_sha256(text: str) -> bool:
    """Whether text looks like one; it becomes a file name."""
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


def _date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
