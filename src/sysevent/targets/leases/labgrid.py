"""A machine that a lab's coordinator hands out: reserved, acquired, watched, and given back.

Each run is a user of its own for labgrid. So it is certain whose a place is, and what a killed run has left can be
released by that name, by the next run on this machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import time
from collections.abc import Callable

import msgspec

from sysevent.errors import LeaseLost, NotLeased
from sysevent.model import Progress
from sysevent.targets.leases.client import Client, Service, end
from sysevent.targets.leases.locks import Lock, Locks
from sysevent.targets.leases.users import forget, introduce, release_stale
from sysevent.targets.leases.watch import Watch
from sysevent.targets.spec import TargetSpec

_LOOK = 60.0  # seconds after which a place is looked at, although the watch has said nothing
_UNPROVEN = 5.0  # while nobody knows whether it listens yet
_PATIENCE = 30.0  # seconds between two lines to somebody who waits


class _Held(msgspec.Struct):
    """What has been had so far, and is to be given back."""

    note: Lock
    token: str = ""
    place: str = ""


class LabgridLease:
    """A place that is ours; spec is where to connect."""

    def __init__(self, client: Client, held: _Held, spec: TargetSpec, waited: float, watch: Watch) -> None:
        self.spec = spec
        self.waited = waited  # seconds for somebody else; 0 when there was one at once
        self._client = client
        self._held = held
        self._watch = watch
        self._looked = time.monotonic()
        self._lost: LeaseLost | None = None

    def check(self) -> None:
        """LeaseLost when the place is not ours any more. Costs a system call, unless something has happened."""
        patience = _LOOK if self._watch.proven else _UNPROVEN
        if self._lost is None and (self._watch.stirred() or time.monotonic() - self._looked > patience):
            self._look()
        if self._lost is not None:
            raise self._lost

    def _look(self) -> None:
        """Ask the coordinator. One that does not answer has lost the lease, too: a restart forgets all of them."""
        name, owner = self._held.place, self._client.owner
        try:
            place, _ = self._client.show(name)
        except NotLeased as error:
            self._lost = LeaseLost(f"{self.spec.id}: nobody can say whose {name} is: {error}")
            return
        if place.acquired != owner:
            whose = (
                f"{place.acquired} has it"
                if place.acquired
                else "it was released, or its coordinator restarted"
            )
            self._lost = LeaseLost(f"{self.spec.id}: labgrid's place {name} was taken from this run: {whose}")
            return
        self._looked = time.monotonic()
        if self._watch.ended:
            self._watch = Watch(self._client)

    def release(self) -> None:
        """Let others have it. What cannot be given back now is left to the next run."""
        self._watch.end()
        _give_back(self._client, self._held)


def take(spec: TargetSpec, locks: Locks, progress: Progress, waiting: Callable[[], None]) -> LabgridLease:
    """A machine of a lab; NotLeased when none is free within spec.lease seconds, or there is none like it.

    waiting is called once, before it waits.
    """
    release_stale(Client(spec.coordinator), locks, progress)
    client, note = introduce(spec.coordinator, locks)
    held = _Held(note)
    # From before the place is ours: that it becomes ours is then the first thing the watch says, and proves it awake.
    watch = Watch(client)
    try:
        _see_that_there_is_one(client, spec)
        waited = _reserve(client, held, watch, spec, progress, waiting)
        said = client.call("-p", f"+{held.token}", "lock")
        name = re.search(r"^acquired place (.+)$", said, flags=re.MULTILINE)
        if name is None:
            raise NotLeased(f"{spec.id}: labgrid-client acquired no place: {said.strip()!r}")
        held.place = name[1]
        watch.stirred()  # what it has said so far is older than what is seen now
        place, service = client.show(held.place)
        if place.acquired != client.owner:
            raise NotLeased(
                f"{spec.id}: {held.place} was acquired, and yet {place.acquired or 'nobody'} has it"
            )
        progress(f"{spec.id}: labgrid's place {held.place} at {client.coordinator}")
        return LabgridLease(client, held, _reached(spec, held.place, service), waited, watch)
    except BaseException:
        watch.end()
        _give_back(client, held)
        raise


def _wanted(spec: TargetSpec) -> dict[str, str]:
    return {**spec.tags, "name": spec.place} if spec.place else dict(spec.tags)


def _see_that_there_is_one(client: Client, spec: TargetSpec) -> None:
    """labgrid waits for ever for a place that does not exist."""
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
    """Wait in labgrid's own queue until a place is allocated to us; the seconds that others have cost us."""
    words = ("reserve", "--wait", "--shell", *(f"{key}={value}" for key, value in _wanted(spec).items()))
    process = client.start(*words)
    assert process.stdout is not None
    begin = time.monotonic()
    deadline = begin + spec.lease
    told = time.monotonic() - _PATIENCE + 2  # the first line after two seconds
    waited, said = False, ""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(0.5):
                    data = os.read(process.stdout.fileno(), 4096).decode(errors="replace")
                    said += data
                    token = re.search(r"^export LG_TOKEN=(\w+)$", said, flags=re.MULTILINE)
                    held.token = token[1] if token else held.token
                    if not data:
                        break
                watch.stirred()  # its pipe must not fill in a busy lab
                now = time.monotonic()
                if now > deadline:
                    raise NotLeased(
                        f"{spec.id}: labgrid gave no place with {_words(_wanted(spec).items())} within "
                        f"{spec.lease} s: {_holders(client, spec)}"
                    )
                if now - told > _PATIENCE:
                    told = now
                    if not waited:
                        waited = True
                        waiting()
                    progress(f"{spec.id}: waiting for labgrid: {_holders(client, spec)}")
        process.wait(10)
    finally:
        end(process)
    if process.returncode != 0 or not held.token:
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        raise NotLeased(f"{spec.id}: `labgrid-client {' '.join(words)}` at {client.coordinator}: {last}")
    return time.monotonic() - begin if waited else 0.0


def _holders(client: Client, spec: TargetSpec) -> str:
    """Who has what we want."""
    wanted = _wanted(spec).items()
    with contextlib.suppress(NotLeased):
        return ", ".join(
            f"{place.name} is with {place.acquired}" if place.acquired else f"{place.name} is reserved"
            for place in client.places()
            if wanted <= {**place.tags, "name": place.name}.items()
        )
    return f"the coordinator at {client.coordinator} does not say who has them"


def _words(wanted: object) -> str:
    return " ".join(f"{key}={value}" for key, value in wanted)  # type: ignore[attr-defined]


def _reached(spec: TargetSpec, place: str, service: Service | None) -> TargetSpec:
    """The target as a machine to reach over SSH; what the target file says goes before what the lab says."""
    if service is None:
        raise NotLeased(
            f"{spec.id}: labgrid's place {place} has no NetworkService that could be connected to: export one, "
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


def _give_back(client: Client, held: _Held) -> None:
    """Cancel the reservation, then release: one alone keeps the place from others for a minute.

    In this order the coordinator hands it on at once; in the other one at its next round, up to 15 s later.
    """
    well = True
    try:
        places = [held.place] if held.place else []
        if held.token and not places:  # `lock` may have done it, and not lived to tell
            places = [place.name for place in client.places() if place.acquired == client.owner]
        lines: list[tuple[str, ...]] = [("cancel-reservation", held.token)] if held.token else []
        for line in (*lines, *(("-p", place, "release-from", client.owner) for place in places)):
            try:
                client.call(*line)
            except NotLeased:
                well = False
        if not well:  # not ours any more, or not given back?
            theirs = {place.acquired for place in client.places()} | set(client.reservations().values())
            well = client.owner not in theirs
    except (NotLeased, OSError):
        well = False  # the next run looks
    forget(held.note, done=well)
