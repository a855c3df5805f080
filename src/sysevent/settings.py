"""What a user can set once for all commands: in the environment, or with an option, which wins over it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs


class Settings(msgspec.Struct, frozen=True):
    """Where things are kept and where they come from."""

    # Downloads, images, compiled VMMs. It is safe to delete at any time.
    cache: Path
    # Base URL of a Debian mirror; None: the one in this machine's apt configuration.
    mirror: str | None
    # OpenPGP certificates that may sign Debian's release files; None: this machine's own.
    keyring: Path | None
    # True: never use the network.
    offline: bool
    # True: restore a guest that was ready before from its snapshot, instead of booting it.
    snapshots: bool = False
    # Directory of the files that say which run uses what; None: the one that all users of this machine share.
    locks: Path | None = None
    # Seconds from its start after which a kept guest is ended; 0: no guest outlives its run.
    keep: int = 0
    # True: no old run in the usual place is deleted.
    keep_results: bool = False
    # True: guests wait for a debugger, and there are no deadlines.
    debug: bool = False


def from_options(options: Mapping[str, Any]) -> Settings:
    """Settings of this process: the environment, overridden by parsed options.

    options is the content of argparse's or pytest's namespace. An option that a verb does not have counts as not
    given; only what has --fresh uses snapshots.
    """
    kept = options.get("keep", "never") != "never"
    return from_environment(
        mirror=options.get("mirror"),
        keyring=options.get("keyring"),
        offline=options.get("offline", False),
        snapshots=not options.get("fresh", True),
        debug=options.get("gdb", False),
        keep=max(1, options["keep_for"]) if kept else 0,
    )


def from_environment(
    *,
    mirror: str | None = None,
    keyring: str | None = None,
    offline: bool = False,
    snapshots: bool = False,
    debug: bool = False,
    keep: int = 0,
) -> Settings:
    """Settings of this process: SYSEVENT_CACHE, _MIRROR, _KEYRING, _OFFLINE and _LOCKS, overridden by the arguments.

    SYSEVENT_FRESH forbids snapshots even if snapshots is True. SYSEVENT_KEEP_RESULTS keeps old runs.
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
        keep_results=env.get("SYSEVENT_KEEP_RESULTS", "") not in ("", "0"),
        debug=debug,
        keep=keep,
    )
