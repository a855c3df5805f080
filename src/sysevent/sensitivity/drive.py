"""The measurement: the original kernel first, then mutant after mutant, each stored on disk before the next."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from sysevent.build import proof
from sysevent.build.kernel import BuiltKernel
from sysevent.errors import HarnessError, InfrastructureError, KernelNotBuilt
from sysevent.model import Progress
from sysevent.sensitivity import equivalent, verdicts
from sysevent.sensitivity.ask import Asks
from sysevent.sensitivity.beside import Beside
from sysevent.sensitivity.equivalent import Equivalent
from sysevent.sensitivity.mutants import Found, Mutant
from sysevent.sensitivity.state import Asked, Built, Decided, State
from sysevent.sensitivity.tree import TreeCopy
from sysevent.sensitivity.verdicts import COUNTED, Fate, Result, Verdicts
from sysevent.text import one_line

# Seconds that a mutant may take to answer: this many times what the original takes, and not less than this.
_TIMES, _LEAST = 5, 40


class Builder(Protocol):
    """What builds kernels: build.kernel.KernelBuilder, or a fake."""

    def build(self, tree: Path, log: Path, *, configured: bool = False) -> BuiltKernel: ...


class Workshop(msgspec.Struct, frozen=True):
    """What kernels are built and asked with, and where."""

    # Makes the copy of the tree in which mutants are built.
    copy: Callable[[], TreeCopy]
    builder: Builder
    asks: Asks
    # Path of the boot image in a build directory.
    boot_image: str
    # Directory for the images of kernels, by build ID.
    images: Path
    # Directory for logs.
    logs: Path
    # See ask.asking_key().
    asking: str
    # Build ID of a vmlinux; "" if it has none.
    read_build_id: Callable[[Path], str] = proof.of_vmlinux
    # Others that are asked as well.
    beside: tuple[Beside, ...] = ()


class Judged(msgspec.Struct, frozen=True):
    """A mutant and what became of it."""

    mutant: Mutant
    result: Result
    # Seconds for building and asking; 0 if both were done in an earlier run.
    seconds: float = 0.0
    # What others say of it, by their names.
    beside: dict[str, Result] = {}


class Measurement(msgspec.Struct, frozen=True):
    """Everything that was found out about a tree."""

    # Build ID of the original kernel.
    original: str
    verdicts: Verdicts
    judged: tuple[Judged, ...]
    # Names of places that the tree does not have.
    absent: tuple[str, ...]
    # What others gave on the original kernel, by their names.
    beside: dict[str, Verdicts] = {}


def measure(
    found: Found,
    state: State,
    workshop: Workshop,
    say: Progress,
    *,
    known: Sequence[Equivalent] = (),
    killed_before: bool = False,
) -> Measurement:
    """Build and ask every mutant that the state does not know, and return what became of all of them.

    killed_before: True: a mutant that was killed once is not asked again, although the claims have changed since.
    InfrastructureError if the original kernel cannot be built, or its verdicts are no base for a comparison.
    """
    bench = _Bench(found, state, workshop, say, tuple(known), killed_before)
    bench.original()
    return bench.mutants()


class _Bench:
    """One measurement while it runs."""

    def __init__(
        self,
        found: Found,
        state: State,
        workshop: Workshop,
        say: Progress,
        known: tuple[Equivalent, ...],
        killed_before: bool,
    ) -> None:
        self._found, self._state, self._workshop, self._say = found, state, workshop, say
        self._known, self._killed_before = known, killed_before
        self._copy = workshop.copy()
        self._id = ""
        self._base = Verdicts({})
        # The first mutant of each build ID.
        self._first: dict[str, Mutant] = {}

    def original(self) -> None:
        """Build and ask the original kernel."""
        self._say("building the original kernel")
        self._id, image, error = self._build(None)
        if error is not None:
            raise error
        base = self._state.asked(self._id, self._workshop.asking)
        if base is None:
            self._say("asking the original kernel")
            for _ in range(2):
                base = self._workshop.asks(image, self._workshop.logs / "original", 600)
                if not verdicts.unusable(base):
                    break
            assert base is not None
            if obstacle := verdicts.unusable(base):
                logs = self._workshop.logs / "original"
                raise InfrastructureError(
                    f"mutants cannot be compared with the original: {obstacle}; see {logs}"
                )
            self._state.add(Asked(self._id, self._workshop.asking, base))
        self._base = base
        for one in self._workshop.beside:
            self._say(f"asking the original kernel: {one.name}")
            one.original(self._id, image)

    def mutants(self) -> Measurement:
        """Decide all mutants, in their order."""
        judged: list[Judged] = []
        number, spent, tried = len(self._found.mutants), 0.0, 0
        for count, mutant in enumerate(self._found.mutants, 1):
            begin = time.monotonic()
            result, is_new = self._one(mutant)
            beside, is_newer = self._beside(mutant, result)
            is_new = is_new or is_newer
            seconds = time.monotonic() - begin if is_new else 0.0
            if is_new:
                spent, tried = spent + seconds, tried + 1
                left = spent / tried * (number - count) / 60
                others = "".join(f"; {name}: {_words(found)}" for name, found in beside.items())
                self._say(
                    f"{count}/{number} {mutant.title}: {_words(result)}{others} "
                    f"({seconds:.0f} s; about {left:.0f} min left)"
                )
            judged.append(Judged(mutant, result, round(seconds, 1), beside))
        base = {one.name: one.base for one in self._workshop.beside}
        return Measurement(self._id, self._base, tuple(judged), self._found.absent, base)

    def _beside(self, mutant: Mutant, result: Result) -> tuple[dict[str, Result], bool]:
        """What others say of a mutant that counts, and whether any of that is new."""
        asked = self._workshop.beside if result.fate in COUNTED else ()
        found, is_new = {}, False
        for one in asked:
            said = one.known(mutant)
            if said is None:
                is_new = True
                if (image := self._built(mutant)) is None:
                    break
                said = one.mutant(mutant, image)
            found[one.name] = said
        return found, is_new

    def _built(self, mutant: Mutant) -> Path | None:
        """The image of a mutant that was built before, built again if it is gone; None if that fails."""
        built = self._state.built(self._id, mutant.key)
        image = self._image(built.build_id if built else "")
        if image.is_file():
            return image
        _, image, error = self._build(mutant)
        return None if error is not None else image

    def _one(self, mutant: Mutant) -> tuple[Result, bool]:
        """What became of a mutant, and whether something was done to find out."""
        if listed := equivalent.reason(mutant, self._known):
            return Result(Fate.EQUIVALENT, listed), False
        built, is_new = self._state.built(self._id, mutant.key), False
        image = self._image(built.build_id) if built else Path()
        if built is None or (built.build_id and self._must_ask(mutant, built) and not image.exists()):
            build_id, image, error = self._build(mutant)
            built = Built(self._id, mutant.key, build_id, one_line(error) if error else "")
            self._state.add(built)
            is_new = True
        if not built.build_id:
            return Result(Fate.NOT_BUILT, built.error), is_new
        if built.build_id == self._id:
            return Result(Fate.EQUIVALENT, "its object code is that of the original"), is_new
        first = self._first.setdefault(built.build_id, mutant)
        if first is not mutant:
            why = f"its object code is that of line {first.line}: {first.operator}: {first.after}"
            return Result(Fate.DUPLICATE, why), is_new
        if (decided := self._decided(mutant)) is not None:
            return decided.result, is_new
        return self._ask(mutant, built.build_id, image), True

    def _must_ask(self, mutant: Mutant, built: Built) -> bool:
        return built.build_id not in (self._id, *self._first) and self._decided(mutant) is None

    def _decided(self, mutant: Mutant) -> Decided | None:
        now = self._state.decided(self._id, self._workshop.asking, mutant.key)
        if now is None and self._killed_before:
            before = self._state.latest(self._id, mutant.key)
            return before if before is not None and before.result.fate is Fate.KILLED else None
        return now

    def _ask(self, mutant: Mutant, build_id: str, image: Path) -> Result:
        logs = self._workshop.logs / mutant.key
        deadline = max(_LEAST, _TIMES * self._base.seconds)
        result = Result(Fate.INCONCLUSIVE)
        # A load of this machine can cost a verdict, too: what has no result is asked once more.
        for _ in range(2):
            seen = self._workshop.asks(image, logs, deadline)
            if seen.build_id not in ("", build_id):
                raise HarnessError(
                    f"{image} has build ID {build_id}, and {seen.build_id} answered: see {logs}"
                )
            result = verdicts.judge(self._base.statuses, seen)
            if not seen.build_id:
                self._control(result)
            if result.fate is not Fate.INCONCLUSIVE or seen.obstacle:
                break
        if result.fate is Fate.KILLED:
            # A hundred of them have a gigabyte.
            shutil.rmtree(logs, ignore_errors=True)
        self._state.add(Decided(self._id, self._workshop.asking, mutant.key, result, round(seen.seconds, 1)))
        return result

    def _control(self, result: Result) -> None:
        """InfrastructureError if the original kernel does not answer either: the result is not the mutant's then."""
        logs = self._workshop.logs / "control"
        seen = self._workshop.asks(self._image(self._id), logs, max(_LEAST, _TIMES * self._base.seconds))
        if obstacle := verdicts.unusable(seen):
            raise InfrastructureError(
                f"a mutant gave no answer ({result.reason}), and the original kernel gives none now: {obstacle}; "
                f"see {logs}, and run again"
            )

    def _build(self, mutant: Mutant | None) -> tuple[str, Path, KernelNotBuilt | None]:
        """Build a mutant, or the original: its build ID, its image in the store, and why it was not built."""
        log = self._workshop.logs / "build.log"
        if mutant is None:
            self._copy.restore()
        else:
            self._copy.mutate(mutant.file, mutant.edit.apply(self._found.files[mutant.file]))
        try:
            built = self._workshop.builder.build(self._copy.path, log, configured=mutant is not None)
        except KernelNotBuilt as error:
            return "", Path(), error
        output = Path(built.spec.removeprefix("tree:"))
        build_id = self._workshop.read_build_id(output / "vmlinux")
        if not build_id:
            raise HarnessError(f"{output / 'vmlinux'} has no build ID, by which mutants are distinguished")
        image = self._image(build_id)
        if not image.exists():
            image.parent.mkdir(parents=True, exist_ok=True)
            part = image.with_suffix(".part")
            shutil.copyfile(output / self._workshop.boot_image, part)
            part.replace(image)
        return build_id, image, None

    def _image(self, build_id: str) -> Path:
        return self._workshop.images / build_id


def _words(result: Result) -> str:
    if result.killers:
        more = f" and {len(result.killers) - 1} more" if len(result.killers) > 1 else ""
        return f"{result.fate} by {result.killers[0]}{more}"
    if result.noticed:
        return f"{result.fate} by {result.noticed[0]}"
    return f"{result.fate}{f': {result.reason}' if result.reason else ''}"
