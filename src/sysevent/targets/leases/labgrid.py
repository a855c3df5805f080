"""Leases of labgrid's places: reserve and acquire one, watch that it is not taken away, release it.

Each run is a labgrid user of its own. So the owner of a place identifies the run, and the next run on this machine
can release, by that name, what a killed run has left.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import time
from collections.abc import Callable

import msgspec

from sysevent.errors import LeaseLost, NotLeased, copy_of
from sysevent.model import Progress
from sysevent.targets.leases.client import Client, Service, end
from sysevent.targets.leases.locks import Lock, Locks
from sysevent.targets.leases.users import create_user, release_note, release_stale
from sysevent.targets.leases.watch import Watch
from sysevent.targets.spec import TargetSpec

# Seconds after which the coordinator is asked for the owner, although the monitor has printed nothing.
_RECHECK = 60.0
# The same, while it is not certain that the monitor is connected.
_RECHECK_UNCONNECTED = 5.0
# Seconds between two lines of progress.
_PROGRESS_INTERVAL = 30.0


class _Held(msgspec.Struct):
    """What this run has acquired so far and must release."""

    note: Lock
    # Token of the reservation.
    token: str = ""
    # Name of the place.
    place: str = ""


class LabgridLease:
    """An acquired place; spec is the target as a machine to reach over SSH."""

    def __init__(self, client: Client, held: _Held, spec: TargetSpec, waited: float, watch: Watch) -> None:
        self.spec = spec
        # Seconds for which other users had every place; 0 if one was free at once.
        self.waited = waited
        self._client = client
        self._held = held
        self._watch = watch
        self._checked = time.monotonic()
        self._lost: LeaseLost | None = None

    def check(self) -> None:
        """Raise LeaseLost when this run does not own the place any more.

        This is a system call or two, unless the monitor has printed something or was silent for long.
        """
        interval = _RECHECK if self._watch.connected else _RECHECK_UNCONNECTED
        if self._lost is None and (self._watch.has_news() or time.monotonic() - self._checked > interval):
            self._ask_owner()
        if self._lost is not None:
            raise copy_of(self._lost)

    def _ask_owner(self) -> None:
        """Ask the coordinator for the owner. If it does not answer, the lease is lost: a restart forgets all leases."""
        name, owner = self._held.place, self._client.owner
        try:
            place, _ = self._client.show(name)
        except NotLeased as error:
            self._lost = LeaseLost(f"{self.spec.id}: the owner of labgrid's place {name} is unknown: {error}")
            return
        if place.acquired != owner:
            why = "it was released, or the coordinator restarted"
            if place.acquired:
                why = f"{place.acquired} has it"
            self._lost = LeaseLost(f"{self.spec.id}: labgrid's place {name} was taken from this run: {why}")
            return
        self._checked = time.monotonic()
        if self._watch.ended:
            self._watch = Watch(self._client)

    def release(self) -> None:
        """Release the place. If that fails, the next run on this machine does it."""
        self._watch.end()
        _release_all(self._client, self._held)


def take(spec: TargetSpec, locks: Locks, progress: Progress, waiting: Callable[[], None]) -> LabgridLease:
    """Acquire a place of a lab.

    waiting is called once, before this function starts to wait for other users.
    NotLeased when no place is free within spec.lease seconds, or none has these tags; ToolMissing without
    labgrid-client.
    """
    release_stale(Client(spec.coordinator), locks, progress)
    client, note = create_user(spec.coordinator, locks)
    held = _Held(note)
    # Started before the place is acquired: the event of the acquisition then shows that the monitor is connected.
    watch = Watch(client)
    try:
        _require_matching_place(client, spec)
        waited = _reserve(client, held, watch, spec, progress, waiting)
        output = client.call("-p", f"+{held.token}", "lock")
        name = re.search(r"^acquired place (.+)$", output, flags=re.MULTILINE)
        if name is None:
            raise NotLeased(f"{spec.id}: labgrid-client acquired no place: {output.strip()!r}")
        held.place = name[1]
        # Events up to now are older than the state that show() returns: discard them.
        watch.has_news()
        place, service = client.show(held.place)
        if place.acquired != client.owner:
            raise NotLeased(
                f"{spec.id}: {held.place} was acquired, but its owner is {place.acquired or 'none'}"
            )
        progress(f"{spec.id}: labgrid's place {held.place} at {client.coordinator}")
        return LabgridLease(client, held, _ssh_spec(spec, held.place, service), waited, watch)
    except BaseException:
        watch.end()
        _release_all(client, held)
        raise


def _wanted(spec: TargetSpec) -> dict[str, str]:
    """Return the filter for a place: tags, and its name if the target file gives it."""
    return {**spec.tags, "name": spec.place} if spec.place else dict(spec.tags)


def _require_matching_place(client: Client, spec: TargetSpec) -> None:
    """Raise NotLeased when no place matches, for which `labgrid-client reserve --wait` would never end."""
    wanted = _wanted(spec).items()
    known = client.places()
    if not any(wanted <= {**place.tags, "name": place.name}.items() for place in known):
        have = "; ".join(
            f"{place.name} ({' '.join(f'{k}={v}' for k, v in place.tags.items())})" for place in known
        )
        raise NotLeased(
            f"{spec.id}: no place of labgrid at {client.coordinator} has {_words(wanted)}: "
            f"there {'are ' + have if have else 'are none'}"
        )


def _reserve(
    client: Client,
    held: _Held,
    watch: Watch,
    spec: TargetSpec,
    progress: Progress,
    waiting: Callable[[], None],
) -> float:
    """Wait in labgrid's queue until a place is allocated, and return the seconds of waiting; held gets the token."""
    words = ("reserve", "--wait", "--shell", *(f"{key}={value}" for key, value in _wanted(spec).items()))
    process = client.start(*words)
    assert process.stdout is not None
    begin = time.monotonic()
    deadline = begin + spec.lease
    # The first line of progress comes after two seconds.
    reported = time.monotonic() - _PROGRESS_INTERVAL + 2
    waited, output = False, ""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(0.5):
                    data = os.read(process.stdout.fileno(), 4096).decode(errors="replace")
                    output += data
                    token = re.search(r"^export LG_TOKEN=(\w+)$", output, flags=re.MULTILINE)
                    held.token = token[1] if token else held.token
                    if not data:
                        break
                # Read the monitor's pipe, which would fill in a busy lab.
                watch.has_news()
                now = time.monotonic()
                if now > deadline:
                    raise NotLeased(
                        f"{spec.id}: labgrid gave no place with {_words(_wanted(spec).items())} within "
                        f"{spec.lease} s: {_holders(client, spec)}"
                    )
                if now - reported > _PROGRESS_INTERVAL:
                    reported = now
                    if not waited:
                        waited = True
                        waiting()
                    progress(f"{spec.id}: waiting for labgrid: {_holders(client, spec)}")
        process.wait(10)
    finally:
        end(process)
    if process.returncode != 0 or not held.token:
        last = (output.strip().splitlines() or ["no output"])[-1]
        raise NotLeased(f"{spec.id}: `labgrid-client {' '.join(words)}` at {client.coordinator}: {last}")
    return time.monotonic() - begin if waited else 0.0


def _holders(client: Client, spec: TargetSpec) -> str:
    """Return the owners of the places that match, in words."""
    wanted = _wanted(spec).items()
    with contextlib.suppress(NotLeased):
        return ", ".join(
            f"{place.name} is held by {place.acquired}" if place.acquired else f"{place.name} is reserved"
            for place in client.places()
            if wanted <= {**place.tags, "name": place.name}.items()
        )
    return f"the coordinator at {client.coordinator} does not answer"


def _words(wanted: object) -> str:
    return " ".join(f"{key}={value}" for key, value in wanted)  # type: ignore[attr-defined]


def _ssh_spec(spec: TargetSpec, place: str, service: Service | None) -> TargetSpec:
    """Return the target as a machine to reach over SSH; keys of the target file win over those of the lab."""
    if service is None:
        raise NotLeased(
            f"{spec.id}: labgrid's place {place} has no NetworkService to connect to: export one, "
            "and match it to the place"
        )
    return msgspec.structs.replace(
        spec,
        where="ssh",
        address=service.address,
        port=spec.port or service.port,
        user=spec.user or service.user,
        jump=spec.jump or service.proxy,
    )


def _release_all(client: Client, held: _Held) -> None:
    """Cancel the reservation and release the place; on failure the note stays, for the next run.

    Either one alone would block the place for other users for a minute. In this order the coordinator assigns
    it to the next user at once, in the other order only at its next scheduling, up to 15 s later.
    """
    released = True
    try:
        places = [held.place] if held.place else []
        # `lock` may have acquired a place and then failed.
        if held.token and not places:
            places = [place.name for place in client.places() if place.acquired == client.owner]
        lines: list[tuple[str, ...]] = [("cancel-reservation", held.token)] if held.token else []
        for line in (*lines, *(("-p", place, "release-from", client.owner) for place in places)):
            try:
                client.call(*line)
            except NotLeased:
                released = False
        # A call also fails if the coordinator has released the place already.
        if not released:
            owners = {place.acquired for place in client.places()} | set(client.reservations().values())
            released = client.owner not in owners
    except (NotLeased, OSError):
        released = False
    release_note(held.note, done=released)
