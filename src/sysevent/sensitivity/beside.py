"""What others show of the same mutants: the kernel's selftests and kvm-unit-tests (`--peers`), real VMMs (`--vmm`).

They are asked as the claims are, and so are random sequences (`--explore`): first the original kernel, and what fails
there says nothing about mutants. A mutant is killed by a suite if one of its programs fails in two guests, and passes
on the original, or if one of the rules of the model is broken so; by a VMM: see vmms.py.
"""

from __future__ import annotations

import hashlib
import itertools
import math
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


class Original(msgspec.Struct, frozen=True):
    """The original kernel, and what it gave."""

    image: Path
    verdicts: Verdicts


class Asks(Protocol):
    """Asks a kernel everything; tests pass one with recorded results."""

    def __call__(self, image: Path, logs: Path, budget: float, original: Original | None) -> Verdicts:
        """Ask the kernel in a boot image. logs: an empty directory, which need not exist.

        budget: seconds after which no further question is begun. original: None: this is the original kernel.
        """


class Guests:
    """Makes guests of one target, each with another kernel, with files that others need."""

    def __init__(self, target: TargetSpec, settings: Settings) -> None:
        self._target, self._settings = target, settings

    def guest(
        self, image: Path, logs: Path, archives: Sequence[Path], *, controlled: bool = False
    ) -> EngineGuest:
        """Return a guest that was not used before; see EngineGuest."""
        row = msgspec.structs.replace(self._target, name=f"{self._target.name}-peers", kernel=str(image))
        return EngineGuest(row, self._settings, logs, archives, _hush, _ignore, controlled=controlled)


class ProgramAsker:
    """Runs the programs of one suite. See Asks."""

    def __init__(self, suite: Suite, guests: Guests) -> None:
        self._suite, self._guests = suite, guests

    def __call__(self, image: Path, logs: Path, budget: float, original: Original | None) -> Verdicts:
        """See Asks."""
        begin, numbers = time.monotonic(), itertools.count(1)

        def guest() -> EngineGuest:
            return self._guests.guest(image, logs / str(next(numbers)), self._suite.archives)

        statuses = {
            f"{found.case.suite}.{found.case.name}": found.outcome.status
            for found in drive.run(self._suite.cases, guest, _PROGRAM, budget)
        }
        return Verdicts(statuses, seconds=round(time.monotonic() - begin, 2))


def _hush(_line: str) -> None:
    """Discard the progress of a guest: there are hundreds."""


def _ignore(_incident: Incident) -> None:
    """Discard an incident: a mutant may kill its guest."""


def asking_key(target: TargetSpec, asked: object, archives: Sequence[Path]) -> str:
    """Return a key that changes with what is asked and the target; it differs from every key of the claims."""
    total = hashlib.sha256(msgspec.json.encode(target))
    total.update(msgspec.json.encode(asked))
    for archive in archives:
        total.update(digest(archive).encode())
    return f"{PEERS}{total.hexdigest()[:16]}"


def of_suite(suite: Suite) -> object:
    """Return what is asked of a suite of programs, for asking_key()."""
    return [(case.suite, case.name, case.arguments) for case in suite.cases]


class Beside:
    """One suite of others, or one VMM, beside a measurement."""

    def __init__(self, name: str, asks: Asks, asking: str, state: State, logs: Path) -> None:
        """name: in tables. asking: see asking_key(). logs: a directory."""
        self.name = name
        self._asks, self._asking, self._state, self._logs = asks, asking, state, logs
        self._build_id, self._image = "", Path()
        self.base = Verdicts({})

    def original(self, build_id: str, image: Path) -> None:
        """Ask the original kernel, unless that was done. InfrastructureError if nothing passes there."""
        self._build_id, self._image = build_id, image
        base = self._state.asked(build_id, self._asking)
        if base is None:
            base = self._ask(image, "original", math.inf, None)
            if Status.PASS not in base.statuses.values():
                raise InfrastructureError(
                    f"nothing of {self.name} passes on the original kernel: see {self._folder('original')}"
                )
            self._state.add(Asked(build_id, self._asking, base))
        self.base = base

    def known(self, mutant: Mutant) -> Result | None:
        """Return what became of a mutant in an earlier run; None if it was not asked."""
        decided = self._state.decided(self._build_id, self._asking, mutant.key)
        return decided.result if decided else None

    def mutant(self, mutant: Mutant, image: Path) -> Result:
        """Ask a mutant, unless that was done, and return what became of it."""
        if (known := self.known(mutant)) is not None:
            return known
        original = Original(self._image, self.base)
        seen = self._ask(image, mutant.key, max(_LEAST, _TIMES * self.base.seconds), original)
        # What has no result on the original either says nothing about the mutant.
        silent = {name for name, status in self.base.statuses.items() if status is not Status.PASS}
        told = {name: status for name, status in seen.statuses.items() if name not in silent}
        result = verdicts.judge(self.base.statuses, msgspec.structs.replace(seen, statuses=told))
        result = msgspec.structs.replace(result, reason=_changed(self.base, seen, result) or result.reason)
        if result.fate is not Fate.INCONCLUSIVE:
            shutil.rmtree(self._folder(mutant.key), ignore_errors=True)
        self._state.add(Decided(self._build_id, self._asking, mutant.key, result, round(seen.seconds, 1)))
        return result

    def _ask(self, image: Path, what: str, budget: float, original: Original | None) -> Verdicts:
        folder = self._folder(what)
        shutil.rmtree(folder, ignore_errors=True)
        return self._asks(image, folder, budget, original)

    def _folder(self, what: str) -> Path:
        return self._logs / f"{self.name}-{what}"


def _changed(base: Verdicts, seen: Verdicts, result: Result) -> str:
    """What a user got before and on a mutant that is killed for that; "" for any other."""
    for name in result.killers:
        if name in base.shown and name in seen.shown:
            return f"{name}: {base.shown[name]} -> {seen.shown[name]}"
    return ""
