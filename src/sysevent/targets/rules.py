"""Rules for a row of a target file, beyond the types of its keys: names, and rules across keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

# Values of where for a guest in this machine's QEMU, which boots the kernel that --kernel names.
BOOTED = ("tcg", "kvm", "auto")

# A name is part of test ids and of file names, and is matched by globs.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Test ids without a target have these words in its place.
_RESERVED = ("headers", "nowhere")

# The filters that labgrid-client accepts.
_TAG_KEY = re.compile(r"[a-z][a-z0-9_]+")
_TAG_VALUE = re.compile(r"[^=\s]+")

_BOOTED_KEYS = ("cpu", "memory", "channel", "boot", "kernel", "append")
_SSH_KEYS = ("port", "user", "identity", "jump", "known_hosts", "connect")
# Key -> the values of where with which it has a meaning; a key that is not listed has one with all of them.
_VALID_WITH = {
    **dict.fromkeys(_BOOTED_KEYS, BOOTED),
    **dict.fromkeys(_SSH_KEYS, ("ssh", "labgrid")),
    "address": ("ssh",),
    "directory": ("ssh", "labgrid", "local"),
    "place": ("labgrid",),
    "coordinator": ("labgrid",),
}


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
        allowed = _VALID_WITH.get(key, (where,))
        if where not in allowed:
            return key, f"has no meaning with where = {where!r}, only with {' or '.join(allowed)}"
    if where == "ssh" and not row.get("address"):
        return "address", 'where = "ssh" needs an address: a name, an IP address, or a Host of ~/.ssh/config'
    for key in ("address", "jump", "user"):
        if str(row.get(key, "")).startswith("-") or re.search(r"\s", str(row.get(key, ""))):
            return key, f"{row[key]!r} starts with '-' or contains a space"
    if row.get("directory") == "":
        return "directory", "is empty: name a directory with free space, or leave it out for /tmp"
    if where == "labgrid" and not row.get("tags") and not row.get("place"):
        return (
            "tags",
            'where = "labgrid" needs tags = {arch = "arm64", ...} that a place must have, or a place',
        )
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
    near = difflib.get_close_matches(found[1], known, n=1) if found else []
    return f"; did you mean `{near[0]}`?" if near else ""
