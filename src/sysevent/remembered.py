"""A value that is made once, or the error with which that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sysevent.errors import SyseventError, copy_of

K = TypeVar("K")
V = TypeVar("V")


def remembered(known: dict[K, V | SyseventError], key: K, make: Callable[[], V]) -> V:
    """The value of a key, made at its first call. A SyseventError is remembered, too, and raised by each later call."""
    if key not in known:
        try:
            known[key] = make()
        except SyseventError as error:
            known[key] = error
    found = known[key]
    if isinstance(found, SyseventError):
        raise copy_of(found)
    return found
