"""The search: both ends first, then revision after revision, each stored on disk before the next."""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from sysevent.bisect.outcome import Outcome
from sysevent.bisect.search import HistoryDoesNotFit, Position, Search
from sysevent.bisect.state import State
from sysevent.bisect.step import Step
from sysevent.model import Progress, Status

Probe = Callable[[str, frozenset[str] | None], Step]
"""Tries a revision, with these claims only (by their names in run.jsonl), or with all selected ones (None)."""


class Ending(enum.StrEnum):
    """How a bisection ended."""

    FOUND = "found"
    # The revisions that are left could not be built, booted or judged.
    UNDECIDED = "undecided"
    # The good end is not good, or the bad end not bad.
    WRONG_ENDS = "wrong ends"
    # One change between the ends cannot explain the outcomes.
    MISFIT = "misfit"

    @property
    def code(self) -> int:
        """The exit code of the command."""
        return {"found": 0, "undecided": 125, "wrong ends": 1, "misfit": 1}[self.value]


class Conclusion(msgspec.Struct, frozen=True):
    """The result of a search."""

    end: Ending
    # One sentence.
    reason: str
    # The first bad revision, or all that may be it; of a search for a repair, the first good one.
    suspects: tuple[str, ...] = ()
    # Of the suspects.
    titles: dict[str, str] = {}
    # The revisions directly before the suspects.
    before: tuple[str, ...] = ()
    # The names of the claims that were searched for.
    tests: tuple[str, ...] = ()
    # True if the good end is the later one, and the suspects are those that may have repaired the claims.
    repaired: bool = False


def bisect(search: Search, probe: Probe, state: State, say: Progress) -> Conclusion:
    """Search, starting from what the state holds, and add every step to it."""
    try:
        # Before anything is built: the ends may have nothing to do with each other.
        position = search.start()
        if search.repaired:
            say("bad is an ancestor of good: searching for the commit that repaired it")
        if wrong := _try_ends(search, probe, state, say):
            return wrong
    except HistoryDoesNotFit as error:
        return Conclusion(Ending.MISFIT, str(error))
    tests = changed_claims(state.ends["good"], state.ends["bad"])
    if not tests:
        why = "no claim that fails at the bad end holds at the good end, so there is no change to search for"
        return Conclusion(Ending.WRONG_ENDS, why)

    try:
        for step in state.steps:
            position = search.mark(step.revision, step.outcome)
        if state.steps:
            say(f"going on after step {len(state.steps)}")
        while position.revision is not None:
            say(f"{_progress(position, len(state.steps) + 1)}: {_name(position.revision, search)}")
            step = probe(position.revision, tests)
            # On disk first: the state of git is rebuilt from it.
            state.add(step)
            say(f"  {step.outcome}: {step.reason}")
            position = search.mark(step.revision, step.outcome)
    except HistoryDoesNotFit as error:
        return Conclusion(Ending.MISFIT, str(error), tests=tuple(sorted(tests)))
    return _end(position, search, state, tests)


def _try_ends(search: Search, probe: Probe, state: State, say: Progress) -> Conclusion | None:
    """Try the ends that the state does not hold yet; the conclusion if one is not as it was given."""
    question = state.question
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
    return None


def changed_claims(good: Step, bad: Step) -> frozenset[str]:
    """The names of the claims that hold at the good end and fail at the bad one. Only these are searched for.

    Otherwise a claim that applies only to a part of the history would count in that part.
    """
    held = {one.test for one in good.judged if one.status in (Status.PASS, Status.DONE)}
    failed = {one.test for one in bad.judged if one.status is Status.FAIL}
    # A kernel that does not boot fails no claim by name: then all that hold at the good end are searched for.
    return frozenset(held & failed if bad.judged else held)


def _end(position: Position, search: Search, state: State, tests: frozenset[str]) -> Conclusion:
    suspects = position.suspects
    tested = {step.revision: step for step in (*state.ends.values(), *state.steps)}
    titles = {revision: search.title(revision) for revision in suspects}
    before = tuple(
        dict.fromkeys(
            parent for revision in suspects for parent in search.before(revision) if parent not in suspects
        )
    )
    names = tuple(sorted(tests))
    if len(suspects) == 1:
        end, why = Ending.FOUND, f"the first {'good' if search.repaired else 'bad'} revision was found"
    else:
        unjudged = sum(revision in tested for revision in suspects) - 1
        end, why = (
            Ending.UNDECIDED,
            f"{len(suspects)} revisions are left, because {unjudged} of them could not be judged",
        )
    return Conclusion(end, why, suspects, titles, before, names, search.repaired)


def _wrong_end(end: str, step: Step) -> Conclusion:
    if step.outcome is Outcome.UNKNOWN:
        why = f"the {end} end cannot be judged, so that a search is not possible: {step.reason}"
    elif end == "good":
        why = f"the good end is bad already: {step.reason}"
    else:
        why = f"the bad end is good: {step.reason}"
    return Conclusion(Ending.WRONG_ENDS, why, (step.revision,), {step.revision: step.title})


def _progress(position: Position, number: int) -> str:
    """The number of a step, counted from the start of the search, and how many there will be."""
    return f"step {number} of about {number + position.steps}, {position.left} candidates left after it"


def _name(revision: str, search: Search) -> str:
    short = revision[:12] if len(revision) >= 40 else revision
    return f"{short} {search.title(revision)}".strip()
