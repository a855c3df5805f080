"""What a row of a target file must be, beyond the types of its keys: rules across keys, and names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

BOOTED = ("tcg", "kvm", "auto")  # guests of this machine's QEMU: they boot the kernel that --kernel names

# A name stands in ids of tests, in names of files, and in globs.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TAKEN = ("headers", "nowhere")  # what ids of tests without a target say in its place

# What labgrid-client takes as a filter.
_TAG_KEY = re.compile(r"[a-z][a-z0-9_]+")
_TAG_VALUE = re.compile(r"[^=\s]+")

_GUEST = ("cpu", "memory", "channel", "boot", "kernel", "append")
_REACHED = ("port", "user", "identity", "jump", "known_hosts", "connect")
_ONLY = {  # key: where it means something
    **dict.fromkeys(_GUEST, BOOTED),
    **dict.fromkeys(_REACHED, ("ssh", "labgrid")),
    "address": ("ssh",),
    "directory": ("ssh", "labgrid", "local"),
    "place": ("labgrid",),
    "coordinator": ("labgrid",),
}


def broken(row: Mapping[str, object]) -> tuple[str, str] | None:
    """The first rule that a row breaks, as (key, what is wrong and what would be right); None: it is well.

    The row has the right types already; only keys that were written are in it.
    """
    name, where = str(row.get("name", "")), str(row.get("where", ""))
    if not _NAME.fullmatch(name) or name in _TAKEN:
        return "name", (
            f"{name!r} cannot be a name: letters, digits, '.', '_' and '-', 64 at most, the first a letter or "
            f"digit, and neither of {', '.join(_TAKEN)}"
        )
    for key, value in row.items():
        if isinstance(value, str) and not value.isprintable():
            return key, f"{value!r} has characters that nobody can see"
        places = _ONLY.get(key, (where,))
        if where not in places:
            return key, f"means nothing where = {where!r}; it belongs to {' or '.join(places)}"
    if where == "ssh" and not row.get("address"):
        return "address", 'where = "ssh" needs an address: a name, an IP address, or a Host of ~/.ssh/config'
    for key in ("address", "jump", "user"):
        if str(row.get(key, "")).startswith("-") or re.search(r"\s", str(row.get(key, ""))):
            return key, f"{row[key]!r} is none: it starts with '-' or has a space in it"
    if row.get("directory") == "":
        return "directory", '"" is none: name one in which the machine has room, or leave it out for /tmp'
    if where == "labgrid" and not row.get("tags") and not row.get("place"):
        return (
            "tags",
            'where = "labgrid" needs tags = {arch = "arm64", ...} that a place must have, or a place',
        )
    return _tags(row) if where == "labgrid" else None


def _tags(row: Mapping[str, object]) -> tuple[str, str] | None:
    tags = row.get("tags") or {}
    assert isinstance(tags, dict)
    for key, value in tags.items():
        if not _TAG_KEY.fullmatch(str(key)) or not _TAG_VALUE.fullmatch(str(value)):
            return f"tags.{key}", (
                "labgrid takes keys of two or more small letters, digits and '_', and values without '=' or spaces"
            )
    return None


def meant(message: str, known: Collection[str]) -> str:
    """ "; did you mean ...?" for a message about a key that is not known, "" where nothing is near."""
    found = re.search(r"unknown field `(.*?)`", message)
    near = difflib.get_close_matches(found[1], known, n=1) if found else []
    return f"; did you mean `{near[0]}`?" if near else ""
