"""The search itself: both ends first, then revision after revision, each on disk before the next."""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from sysevent.bisect.outcome import Outcome
from sysevent.bisect.search import HistoryDoesNotFit, Place, Search
from sysevent.bisect.state import State
from sysevent.bisect.step import Step
from sysevent.model import Progress, Status

Probe = Callable[[str, frozenset[str] | None], Step]
"""Tries a revision: with these claims only (by their names in run.jsonl), or with all selected (None)."""


class End(enum.StrEnum):
    """How a bisection ended."""

    FOUND = "found"
    UNDECIDED = "undecided"  # what is left could not be built, booted or judged
    WRONG_ENDS = "wrong ends"  # good is not good, or bad not bad
    MISFIT = "misfit"  # the history does not fit one change between the ends

    @property
    def code(self) -> int:
        """The exit code of the command."""
        return {"found": 0, "undecided": 125, "wrong ends": 1, "misfit": 1}[self.value]


class Finding(msgspec.Struct, frozen=True):
    """What came out."""

    end: End
    reason: str  # one sentence
    suspects: tuple[str, ...] = ()  # the first bad revision, or all that could not be told apart
    titles: dict[str, str] = {}
    before: tuple[str, ...] = ()  # the revisions directly before the suspects
    tests: tuple[str, ...] = ()  # the claims it is about


def bisect(search: Search, probe: Probe, state: State, say: Progress) -> Finding:
    """Search on from where the state stands."""
    question = state.question
    try:
        place = search.start()  # before anything is built: good and bad may have been mistaken for each other
    except HistoryDoesNotFit as error:
        return Finding(End.MISFIT, str(error))
    for end, revision, wanted in (
        ("good", question.good, Outcome.GOOD),
        ("bad", question.bad, Outcome.BAD),
    ):
        if end not in state.ends:
            say(f"the {end} end: {_name(revision, search)}")
            state.add_end(end, probe(revision, None))
        step = state.ends[end]
        say(f"  {step.outcome}: {step.reason}")
        if step.outcome is not wanted:
            return _wrong_end(end, step)
    tests = changed(state.ends["good"], state.ends["bad"])
    if not tests:
        why = (
            "every claim that fails at the bad end does not apply to the good one, so no change can be found"
        )
        return Finding(End.WRONG_ENDS, why)

    try:
        for step in state.steps:
            place = search.mark(step.revision, step.outcome)
        if state.steps:
            say(f"going on after {len(state.steps)} steps of before")
        while place.revision is not None:
            say(f"{_progress(place)}: {_name(place.revision, search)}")
            step = probe(place.revision, tests)
            # On disk first: what git knows is made from it again.
            state.add(step)
            say(f"  {step.outcome}: {step.reason}")
            place = search.mark(step.revision, step.outcome)
    except HistoryDoesNotFit as error:
        return Finding(End.MISFIT, str(error), tests=tuple(sorted(tests)))
    return _end(place, search, state, tests)


def changed(good: Step, bad: Step) -> frozenset[str]:
    """The claims that fail at the bad end and hold at the good one: only these are searched for.

    Otherwise a claim that applies to a part of the history only would count for that part.
    """
    held = {one.test for one in good.judged if one.status in (Status.PASS, Status.DONE)}
    failed = {one.test for one in bad.judged if one.status is Status.FAIL}
    # A kernel that does not boot fails nothing by name: then whatever held at the good end is meant.
    return frozenset(held & failed if bad.judged else held)


def _end(place: Place, search: Search, state: State, tests: frozenset[str]) -> Finding:
    suspects = place.suspects
    tested = {step.revision: step for step in (*state.ends.values(), *state.steps)}
    titles = {revision: search.title(revision) for revision in suspects}
    before = tuple(
        dict.fromkeys(
            parent for revision in suspects for parent in search.before(revision) if parent not in suspects
        )
    )
    names = tuple(sorted(tests))
    if len(suspects) == 1:
        return Finding(End.FOUND, "the first bad revision was found", suspects, titles, before, names)
    untold = [revision for revision in suspects if revision in tested]
    why = (
        f"{len(suspects)} revisions cannot be told apart, since {len(untold) - 1} of them could not be judged"
    )
    return Finding(End.UNDECIDED, why, suspects, titles, before, names)


def _wrong_end(end: str, step: Step) -> Finding:
    if step.outcome is Outcome.UNKNOWN:
        why = f"the {end} end cannot be judged, so a search would prove nothing: {step.reason}"
    elif end == "good":
        why = f"the good end is bad already: {step.reason}"
    else:
        why = f"the bad end is good: {step.reason}"
    return Finding(End.WRONG_ENDS, why, (step.revision,), {step.revision: step.title})


def _progress(place: Place) -> str:
    return f"{place.left} more after this, about {place.steps} steps"


def _name(revision: str, search: Search) -> str:
    short = revision[:12] if len(revision) >= 40 else revision
    return f"{short} {search.title(revision)}".strip()
