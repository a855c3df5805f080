"""Who we are for labgrid: a user for each run, noted on this machine for as long as the run lives.

A note whose lock is free is of a run that has ended without giving back what it had.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets

from sysevent.errors import NotLeased
from sysevent.model import Progress
from sysevent.targets.leases.client import Client
from sysevent.targets.leases.locks import Lock, Locks

_PREFIX = "labgrid-"


def introduce(coordinator: str, locks: Locks) -> tuple[Client, Lock]:
    """A user that nobody else is, and the note about it."""
    try:
        person = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        person = str(os.getuid())
    for _ in range(5):
        client = Client(coordinator, f"{person}-sysevent-{os.getpid()}-{secrets.token_hex(4)}")
        note = locks.take(
            f"{_PREFIX}{client.user}", {"coordinator": client.coordinator, "owner": client.owner}
        )
        if note is not None:  # else another run was just looking whether it is stale
            return client, note
    raise NotLeased(f"no note could be locked in {locks.folder}")


def release_stale(client: Client, locks: Locks, progress: Progress) -> None:
    """Give back what killed runs of this machine have left with this coordinator.

    Costs nothing when there were none. What cannot be given back now is left for later.
    """
    stale = _stale(client.coordinator, locks)
    if not stale:
        return
    done = False
    try:
        for place in client.places():
            if place.acquired in stale:
                client.call("-p", place.name, "release-from", place.acquired)
                progress(f"labgrid: {place.name} released, which a killed run had ({place.acquired})")
        for token, owner in client.reservations().items():
            if owner in stale:
                client.call("cancel-reservation", token)
        done = True
    except NotLeased as error:
        progress(f"labgrid: what killed runs have left could not be released: {error}")
    finally:
        for note in stale.values():
            forget(note, done=done)


def forget(note: Lock, *, done: bool) -> None:
    """Let go of a note; it stays for the next run when not all was done."""
    note.release(keep_note=not done)
    if done:
        with contextlib.suppress(OSError):  # another user's: it is empty now
            note.path.unlink()


def _stale(coordinator: str, locks: Locks) -> dict[str, Lock]:
    """Locked notes of runs that are no more, by the user each was."""
    stale: dict[str, Lock] = {}
    for name in locks.names(_PREFIX):
        note = locks.take(name)
        if note is None:
            continue  # of a run that is alive
        told = note.read()
        if told.get("coordinator") == coordinator and isinstance(told.get("owner"), str):
            stale[str(told["owner"])] = note
        else:
            note.release(keep_note=True)
    return stale
