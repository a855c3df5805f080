"""What a user may set once for all commands: in the environment, or with an option that wins over it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import platformdirs


class Settings(msgspec.Struct, frozen=True):
    """Where things are kept and where they come from."""

    cache: Path  # downloads, images, compiled VMMs; safe to delete at any time
    mirror: str | None  # base URL of a Debian mirror; None: take the machine's own from its apt configuration
    keyring: Path | None  # OpenPGP certificates that may sign Debian's release files; None: the machine's own
    offline: bool  # never touch the network
    snapshots: bool = False  # restore a guest that was seen ready instead of booting one
    locks: Path | None = None  # files that say who uses what; None: the directory all users here share
    keep: int = 0  # seconds that a guest may live on after a run; 0: none does
    debug: bool = False  # guests wait for a debugger, and nothing we wait for has a deadline


def from_environment(
    *,
    mirror: str | None = None,
    keyring: str | None = None,
    offline: bool = False,
    snapshots: bool = False,
    debug: bool = False,
    keep: int = 0,
) -> Settings:
    """Settings of this process: SYSEVENT_CACHE, _MIRROR, _KEYRING, _OFFLINE, _LOCKS, overridden by the arguments.

    SYSEVENT_FRESH forbids snapshots where they would be used.
    """
    env = os.environ
    cache = env.get("SYSEVENT_CACHE")
    locks = env.get("SYSEVENT_LOCKS")
    ring = keyring or env.get("SYSEVENT_KEYRING")
    return Settings(
        cache=Path(cache).expanduser() if cache else platformdirs.user_cache_path("sysevent"),
        mirror=mirror or env.get("SYSEVENT_MIRROR") or None,
        keyring=Path(ring).expanduser() if ring else None,
        offline=offline or env.get("SYSEVENT_OFFLINE", "") not in ("", "0"),
        snapshots=snapshots and env.get("SYSEVENT_FRESH", "") in ("", "0"),
        locks=Path(locks).expanduser() if locks else None,
        debug=debug,
        keep=keep,
    )
