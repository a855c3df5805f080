"""A suite's package index as a catalogue: every package by its name, and what a package depends on.

Debian Policy, chapter 7. An index has 60 000 entries, so only those that are asked for are parsed.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from sysevent.errors import BadSignature
from sysevent.images.debian import package_index
from sysevent.images.debian.package_index import Package
from sysevent.text import printable

if TYPE_CHECKING:
    from debian.debian_support import Version

_PACKAGE = re.compile(rb"^Package: (\S+)$", re.MULTILINE)
_PROVIDES = re.compile(rb"^Provides: (.+)$", re.MULTILINE)
_PROVIDED = re.compile(rb"[a-z0-9][a-z0-9+.-]+(?= *(?:,|\(|$))")
# Debian Policy, 7.1: a name, an architecture, a version, and where a source package needs it.
_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]{1,200})(?::[a-z0-9-]+)?"
    r"(?:\s*\(\s*(?P<relation><<|<=|=|>=|>>)\s*(?P<version>[A-Za-z0-9.+:~-]{1,200})\s*\))?"
    r"(?:\s*\[[^\]]*\])?(?:\s*<[^>]*>)*"
)
# Packages of one closure; QEMU's have 150.
_CLOSURE_MAX = 5000
# Debian Policy, 7.1. Versions of Debian compare by these operators.
_RELATIONS = {
    "<<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">>": operator.gt,
}


class Relation(msgspec.Struct, frozen=True):
    """A name, as in Depends and Provides, and the versions that count."""

    name: str
    # One of _RELATIONS; "" for any version.
    relation: str = ""
    version: str = ""

    def accepts(self, version: str) -> bool:
        """Return whether a version counts; "", of a virtual package without one, only if any does (Policy, 7.5)."""
        if not self.relation:
            return True
        return bool(version and _RELATIONS[self.relation](_version(version), _version(self.version)))

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} {self.version})" if self.relation else self.name


class Entry(msgspec.Struct, frozen=True):
    """A package of the index, with its relations to others."""

    package: Package
    # Debian's name, or "all".
    arch: str
    # Depends and Pre-Depends: of each tuple, one alternative is needed.
    depends: tuple[tuple[Relation, ...], ...]
    provides: tuple[Relation, ...]

    def satisfies(self, wanted: Relation) -> bool:
        """Return whether it is a package that a relation accepts, or provides one."""
        own = Relation(self.package.name, "=", self.package.version)
        return any(one.name == wanted.name and wanted.accepts(one.version) for one in (own, *self.provides))


class Closure(msgspec.Struct, frozen=True):
    """A package and all that it depends on, directly and indirectly: the nearest first."""

    entries: tuple[Entry, ...]
    # Dependencies of them that no package of the suite satisfies, as the index has them.
    unmet: tuple[str, ...]


class Catalogue:
    """The packages of a decompressed index."""

    def __init__(self, index: bytes, name: str) -> None:
        """name is the index's, for messages."""
        self._index = index
        self._name = name

    @functools.cached_property
    def _places(self) -> dict[str, list[int]]:
        """Offsets of the entries by name; a suite can have several versions of a package."""
        found: dict[str, list[int]] = {}
        for match in _PACKAGE.finditer(self._index):
            found.setdefault(match[1].decode("ascii", "replace"), []).append(match.start())
        return found

    @functools.cached_property
    def _providers(self) -> dict[str, list[int]]:
        """Offsets inside the entries that provide a name."""
        found: dict[str, list[int]] = {}
        for match in _PROVIDES.finditer(self._index):
            for name in _PROVIDED.findall(match[1]):
                found.setdefault(name.decode(), []).append(match.start())
        return found

    def newest(self, name: str) -> Entry | None:
        """Return the newest version of a package; None without one. BadSignature if its entry is not valid."""
        return self._best(self._places.get(name, ()), Relation(name))

    def satisfying(self, wanted: Relation) -> Entry | None:
        """Return the package that a relation names, else the first that provides it; None if none counts."""
        named = self._best(self._places.get(wanted.name, ()), wanted)
        return named or self._best(self._providers.get(wanted.name, ())[:50], wanted)

    def _best(self, places: Sequence[int], wanted: Relation) -> Entry | None:
        entries = [entry for place in places if (entry := self._entry(place)).satisfies(wanted)]
        if not entries:
            return None
        same = [entry for entry in entries if entry.package.name == entries[0].package.name]
        return max(same, key=lambda entry: _version(entry.package.version))

    @functools.cached_property
    def _entries(self) -> dict[int, Entry]:
        return {}

    def _entry(self, place: int) -> Entry:
        blank = self._index.rfind(b"\n\n", 0, place)
        start = blank + 2 if blank >= 0 else 0
        if start not in self._entries:
            end = self._index.find(b"\n\n", start)
            text = self._index[start : end if end >= 0 else len(self._index)]
            fields = package_index.fields_of(text.strip(b"\n"), self._name)
            relations = [_relations(fields.get(key, ""), self._name) for key in ("Pre-Depends", "Depends")]
            self._entries[start] = Entry(
                package_index.package_of(fields, self._name),
                fields.get("Architecture", ""),
                (*relations[0], *relations[1]),
                tuple(one for group in _relations(fields.get("Provides", ""), self._name) for one in group),
            )
        return self._entries[start]

    def closure(self, roots: Iterable[Entry]) -> Closure:
        """Return packages and all that they depend on. Of alternatives, the first that the suite has counts."""
        found = list(roots)
        unmet: dict[str, None] = {}
        # The list grows while it is read.
        for entry in found:
            for group in entry.depends:
                if any(known.satisfies(wanted) for wanted in group for known in found):
                    continue
                chosen = next((one for wanted in group if (one := self.satisfying(wanted))), None)
                if chosen is None:
                    unmet[" | ".join(map(str, group))] = None
                else:
                    found.append(chosen)
            if len(found) > _CLOSURE_MAX:
                raise BadSignature(
                    f"{self._name}: {found[0].package.name} depends on over {_CLOSURE_MAX} packages"
                )
        return Closure(tuple(found), tuple(unmet))


@functools.lru_cache(4096)
def _version(text: str) -> Version:
    from debian.debian_support import Version

    return Version(text)


def _relations(text: str, name: str) -> tuple[tuple[Relation, ...], ...]:
    """Parse a field with relations; BadSignature if one is not valid. Not python-debian, which logs what it reads."""
    groups = [group for group in text.split(",") if group.strip()]
    return tuple(tuple(_relation(one, name) for one in group.split("|")) for group in groups)


def _relation(text: str, name: str) -> Relation:
    match = _RELATION.fullmatch(text.strip())
    try:
        if match:
            # Raises ValueError for one that has no place in Debian's order.
            _version(match["version"] or "0")
            return Relation(match["name"], match["relation"] or "", match["version"] or "")
    except ValueError:
        pass
    raise BadSignature(f"{name}: an entry has a relation that is not valid: {printable(text.strip()[:80])}")
