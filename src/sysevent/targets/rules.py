"""Rules for a row of a target file, beyond the types of its keys: names, and rules across keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

from sysevent.targets.kinds import KINDS, kinds_with

# A name is part of test ids and of file names, and is matched by globs.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Test ids without a target have these words in its place.
_RESERVED = ("headers", "nowhere")

# The filters that labgrid-client accepts.
_TAG_KEY = re.compile(r"[a-z][a-z0-9_]+")
_TAG_VALUE = re.compile(r"[^=\s]+")


def first_violation(row: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the first rule that a row violates, as (key, what is wrong and what is expected); None if none.

    The types of the row have been checked already; it only has the keys that are in the file.
    """
    name, where = str(row.get("name", "")), str(row.get("where", ""))
    if not _NAME.fullmatch(name) or name in _RESERVED:
        return "name", (
            f"{name!r} cannot be a name: letters, digits, '.', '_' and '-', 64 at most, the first a letter or "
            f"digit, and neither of {', '.join(_RESERVED)}"
        )
    for key, value in row.items():
        if isinstance(value, str) and not value.isprintable():
            return key, f"{value!r} has unprintable characters"
        allowed = kinds_with(key)
        if where not in allowed:
            return key, f"has no meaning with where = {where!r}, only with {' or '.join(allowed)}"
    kind = KINDS[where]
    if kind.needs and not any(row.get(key) for key in kind.needs):
        return kind.needs[0], f'where = "{where}" needs {kind.needed}'
    for key in ("address", "jump", "user"):
        if str(row.get(key, "")).startswith("-") or re.search(r"\s", str(row.get(key, ""))):
            return key, f"{row[key]!r} starts with '-' or contains a space"
    if row.get("directory") == "":
        return "directory", "is empty: name a directory with free space, or leave it out for /tmp"
    return _tag_violation(row) if where == "labgrid" else None


def _tag_violation(row: Mapping[str, object]) -> tuple[str, str] | None:
    tags = row.get("tags") or {}
    assert isinstance(tags, dict)
    for key, value in tags.items():
        if not _TAG_KEY.fullmatch(str(key)) or not _TAG_VALUE.fullmatch(str(value)):
            return f"tags.{key}", (
                "labgrid accepts keys of two or more lower-case letters, digits and '_', "
                "and values without '=' or spaces"
            )
    return None


def suggestion(message: str, known: Collection[str]) -> str:
    """Return "; did you mean ...?" for a message about an unknown key, "" if no known key is similar."""
    found = re.search(r"unknown field `(.*?)`", message)
    near = difflib.get_close_matches(found[1][:40], known, n=1) if found else []
    return f"; did you mean `{near[0]}`?" if near else ""
