"""What programs of others say of the same mutants: the kernel's selftests, and kvm-unit-tests (`--peers`).

They are asked as the claims are: first the original kernel, and what fails there says nothing about mutants. A mutant
is killed by a suite if one of its programs fails in two guests, and does not fail on the original.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.digests import digest
from sysevent.errors import InfrastructureError
from sysevent.model import Incident, Status
from sysevent.peers import drive
from sysevent.peers.drive import Suite
from sysevent.peers.guests import EngineGuest
from sysevent.sensitivity import verdicts
from sysevent.sensitivity.mutants import Mutant
from sysevent.sensitivity.state import PEERS, Asked, Decided, State
from sysevent.sensitivity.verdicts import Fate, Result, Verdicts
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# Seconds for one program on a mutant, and for all of them: this many times what the original takes, and not less than
# this.
_PROGRAM, _TIMES, _LEAST = 60.0, 5, 60.0


class Asks(Protocol):
    """Runs all programs on a kernel; tests pass one with recorded results."""

    def __call__(self, image: Path, logs: Path, budget: float) -> Verdicts: ...


class ProgramAsker:
    """Runs the programs of suites in guests of one target."""

    def __init__(self, target: TargetSpec, suites: Sequence[Suite], settings: Settings) -> None:
        self._target, self._suites, self._settings = target, suites, settings

    def __call__(self, image: Path, logs: Path, budget: float) -> Verdicts:
        """Run all programs on the kernel in a boot image. logs, a directory, is removed first.

        budget: seconds after which no further program is started.
        """
        shutil.rmtree(logs, ignore_errors=True)
        begin = time.monotonic()
        row = msgspec.structs.replace(self._target, name=f"{self._target.name}-peers", kernel=str(image))
        statuses: dict[str, Status] = {}
        for number, suite in enumerate(self._suites, 1):
            guests: list[EngineGuest] = []

            def guest(
                suite: Suite = suite, number: int = number, guests: list[EngineGuest] = guests
            ) -> EngineGuest:
                folder = logs / f"{number}-{len(guests) + 1}"
                guests.append(
                    EngineGuest(
                        row, self._settings, folder, suite.archives, self._hush, _ignore, controlled=False
                    )
                )
                return guests[-1]

            left = budget - (time.monotonic() - begin)
            for found in drive.run(suite.cases, guest, _PROGRAM, left):
                statuses[f"{found.case.suite}.{found.case.name}"] = found.outcome.status
        return Verdicts(statuses, seconds=round(time.monotonic() - begin, 2))

    def _hush(self, _line: str) -> None:
        """Discard the progress of a guest: there are hundreds."""


def _ignore(_incident: Incident) -> None:
    """Discard an incident: a mutant may kill its guest."""


def asking_key(target: TargetSpec, suites: Sequence[Suite]) -> str:
    """Return a key that changes with the programs and the target; it differs from every key of the claims."""
    total = hashlib.sha256(msgspec.json.encode(target))
    for suite in suites:
        total.update(msgspec.json.encode([(case.suite, case.name, case.arguments) for case in suite.cases]))
        for archive in suite.archives:
            total.update(digest(archive).encode())
    return f"{PEERS}{total.hexdigest()[:16]}"


class Beside:
    """The programs of others beside one measurement."""

    def __init__(self, asks: Asks, asking: str, state: State, logs: Path) -> None:
        """asking: see asking_key(). logs: a directory."""
        self._asks, self._asking, self._state, self._logs = asks, asking, state, logs
        self._original = ""
        self.base = Verdicts({})

    def original(self, build_id: str, image: Path) -> None:
        """Run the programs on the original kernel, unless that was done. InfrastructureError if none passes there."""
        self._original = build_id
        base = self._state.asked(build_id, self._asking)
        if base is None:
            base = self._asks(image, self._logs / "peers-original", float("inf"))
            if Status.PASS not in base.statuses.values():
                raise InfrastructureError(
                    f"no program of others passes on the original kernel: see {self._logs / 'peers-original'}"
                )
            self._state.add(Asked(build_id, self._asking, base))
        self.base = base

    def known(self, mutant: Mutant) -> Result | None:
        """Return what became of a mutant in an earlier run; None if it was not asked."""
        decided = self._state.decided(self._original, self._asking, mutant.key)
        return decided.result if decided else None

    def mutant(self, mutant: Mutant, image: Path) -> Result:
        """Run the programs on a mutant, unless that was done, and return what they say."""
        if (known := self.known(mutant)) is not None:
            return known
        logs = self._logs / f"peers-{mutant.key}"
        seen = self._asks(image, logs, max(_LEAST, _TIMES * self.base.seconds))
        # What has no result on the original either says nothing about the mutant.
        silent = {name for name, status in self.base.statuses.items() if status is not Status.PASS}
        told = {name: status for name, status in seen.statuses.items() if name not in silent}
        result = verdicts.judge(self.base.statuses, msgspec.structs.replace(seen, statuses=told))
        if result.fate is not Fate.INCONCLUSIVE:
            shutil.rmtree(logs, ignore_errors=True)
        self._state.add(Decided(self._original, self._asking, mutant.key, result, round(seen.seconds, 1)))
        return result
