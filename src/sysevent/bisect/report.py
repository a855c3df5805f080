"""The conclusion of a bisection, as text for a mail and as JSON. No I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from debian.debian_support import Version

from sysevent.bisect.drive import Conclusion, Ending
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.question import Question
from sysevent.bisect.state import State
from sysevent.bisect.step import JudgedClaim, Step
from sysevent.model import Status
from sysevent.report import failure
from sysevent.text import escape_line

_WIDTH = 76
# Suspects that are listed.
_SHOWN = 20
# Failed claims whose bytes are shown; the others are named.
_WITH_BYTES = 2


def text(conclusion: Conclusion, state: State, about: Mapping[str, str]) -> str:
    """The whole report. about: author, date, message and files of the first bad commit, by its hash."""
    question = state.question
    lines: list[str | None] = [*_headline(conclusion, question)]
    if conclusion.end is Ending.FOUND and conclusion.suspects[0] in about:
        lines += ["", *(f"    {line}".rstrip() for line in about[conclusion.suspects[0]].splitlines())]
    lines += _evidence(conclusion, state)
    lines += ["", "Steps:", *_log(state)]
    lines += _tools(state)
    lines += ["", "To search again:", f"    {question.command}", *_again(conclusion, question)]
    # Titles of commits, names of files and messages of programs must not act on a terminal.
    return "\n".join(escape_line(line) for line in lines if line is not None) + "\n"


def _headline(conclusion: Conclusion, question: Question) -> list[str]:
    what = "first good commit" if conclusion.repaired else "first bad commit"
    if question.kind == "packages":
        what = "first bad release"
    if question.kind == "packages" and Version(question.bad) < Version(question.good):
        # The search ran backwards, for the release that repaired it.
        what = "last bad release"
    if conclusion.end is Ending.FOUND:
        revision = conclusion.suspects[0]
        lines = [f"{what.capitalize()}: {_named(revision, conclusion)}"]
    elif conclusion.end is Ending.UNDECIDED:
        lines = [f"The {what} is one of these {len(conclusion.suspects)}, which could not be distinguished:"]
        lines += [f"    {_named(revision, conclusion)}" for revision in conclusion.suspects[:_SHOWN]]
        if len(conclusion.suspects) > _SHOWN:
            lines.append(f"    and {len(conclusion.suspects) - _SHOWN} more")
    else:
        lines = [f"No search: {conclusion.reason}"]
    lines.append(f"Between good {question.good_named} and bad {question.bad_named}, on {question.arch}.")
    return lines


def _named(revision: str, conclusion: Conclusion) -> str:
    title = conclusion.titles.get(revision, "")
    return f"{revision} ({title})" if title else revision


def pair(conclusion: Conclusion, state: State) -> tuple[Step | None, Step | None]:
    """The good and the bad step on both sides of the change, each None if it was not tried: the evidence."""
    tried = {step.revision: step for step in (*state.ends.values(), *state.steps)}
    if conclusion.end is Ending.WRONG_ENDS or conclusion.end is Ending.MISFIT:
        return state.ends.get("good"), state.ends.get("bad")
    goods, bads = conclusion.before, conclusion.suspects
    if conclusion.repaired:
        goods, bads = bads, goods
    bad = [tried[r] for r in bads if r in tried and tried[r].outcome is Outcome.BAD]
    good = [tried[r] for r in goods if r in tried and tried[r].outcome is Outcome.GOOD]
    return next(iter(good), None), next(iter(bad), state.ends.get("bad"))


def _evidence(conclusion: Conclusion, state: State) -> list[str | None]:
    before, after = pair(conclusion, state)
    if after is None or not after.judged:
        shown = [step for step in (before, after) if step is not None]
        return ["", *(f"{_short(step)}: {step.outcome}, {step.reason}" for step in shown)]
    lines: list[str | None] = []
    failed = [one for one in after.judged if one.status is Status.FAIL]
    for one in (failed or list(after.judged))[:_WITH_BYTES]:
        lines += ["", *_claim(one)]
        if before is not None:
            other = next((o for o in before.judged if o.test == one.test), None)
            if other:
                lines += [_gap(other), f"  good, {_short(before)}: {other.status}", *_raw(other, one)]
        lines += [_gap(one), f"  bad, {_short(after)}: {one.status}", *_raw(one, one)]
    if failed[_WITH_BYTES:]:
        lines += ["", "These fail as well:", *(f"  {one.test}" for one in failed[_WITH_BYTES:])]
    last = state.ends.get("bad")
    if failed and last is not None and conclusion.end is Ending.FOUND and last.revision != after.revision:
        other = next((o for o in last.judged if o.test == failed[0].test), None)
        if other is not None and other.mismatches != failed[0].mismatches:
            lines += ["", f"  The bad end fails in another way: {other.reason}"]
    return lines


def _claim(one: JudgedClaim) -> list[str]:
    lines = [f"{one.test}: {one.status}", *_wrapped(one.says, "  ")]
    for wrong in one.mismatches:
        lines.append(f"  {wrong.what}: expected {wrong.expected}, got {wrong.got}")
    if not one.mismatches:
        lines += _wrapped(one.reason, "  ") if one.reason != one.says else []
    return [*lines, *_wrapped(f"rests on {one.source}", "  ")]


def _gap(one: JudgedClaim) -> str | None:
    """An empty line before a claim with bytes; None before one without."""
    return "" if one.observation else None


def _raw(one: JudgedClaim, marked: JudgedClaim) -> list[str]:
    """The bytes of kvm_run that one was judged by, with the bytes marked that are wrong in `marked`."""
    seen = one.seen
    # Claims about headers have no bytes, and neither has a claim that could not be asked.
    if seen is None:
        return [] if one.status in (Status.PASS, Status.FAIL) else _wrapped(one.reason, "    ")
    lines = []
    for label, raw in seen.exits.items():
        lines.append(f"    kvm_run at {label!r}, poison {failure.poison(raw)}:")
        lines += [f"      {line}" for line in failure.dump(raw, marked.mismatches)]
    return lines


def _log(state: State) -> Iterable[str]:
    named = {"good": "good end", "bad": "bad end"}
    rows = [(named[end], step) for end, step in state.ends.items()]
    rows += [(str(number), step) for number, step in enumerate(state.steps, 1)]
    for label, step in rows:
        took = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in step.seconds.items())
        yield f"  {label:<8} {_short(step)}"
        yield f"           {step.outcome}: {step.reason}"
        if took:
            yield f"           {took}"
        if step.facts is not None and step.facts.identity is not None:
            yield from _wrapped(str(step.facts.identity), "           ")
        for note in step.notes:
            yield f"           {note}"
        if step.outcome is Outcome.UNKNOWN and step.logs:
            yield f"           logs: {step.logs}"
    total = sum(sum(step.seconds.values()) for _, step in rows)
    yield f"  {len(rows)} kernels, {total:.0f} s"


def _tools(state: State) -> Iterable[str]:
    tools = {
        key: value
        for step in (*state.ends.values(), *state.steps)
        for key, value in step.tools.items()
        if value
    }
    if tools:
        yield from ("", "With " + ", ".join(f"{name} {value}" for name, value in tools.items()) + ".")


def _again(conclusion: Conclusion, question: Question) -> list[str]:
    if question.kind == "packages":
        suspects = conclusion.suspects[-1:]
        return [
            line
            for revision in suspects
            for line in (
                "To try one release:",
                f"    sysevent bisect run --kernel debian:{revision} {' '.join(question.options())}",
            )
        ]
    if conclusion.end is not Ending.FOUND:
        return []
    return [
        "To try one commit:",
        f"    git checkout {conclusion.suspects[0][:12]} && sysevent bisect run {' '.join(question.options())}",
    ]


def _short(step: Step) -> str:
    revision = step.revision[:12] if len(step.revision) >= 40 else step.revision
    kernel = f", Linux {step.kernel}" if step.kernel and step.kernel not in step.title else ""
    return f"{revision} ({step.title}){kernel}" if step.title else f"{revision}{kernel}"


def _wrapped(words: str, indent: str) -> list[str]:
    return textwrap.wrap(
        words, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )


def as_json(conclusion: Conclusion, state: State) -> dict[str, Any]:
    """Everything in the text, and every byte that it rests on."""
    before, after = pair(conclusion, state)
    found: dict[str, Any] = msgspec.to_builtins(
        {
            "end": conclusion.end.value,
            "reason": conclusion.reason,
            "suspects": [{"revision": r, "title": conclusion.titles.get(r, "")} for r in conclusion.suspects],
            "before": conclusion.before,
            "repaired": conclusion.repaired,
            "claims": conclusion.tests,
            "question": state.question,
            "command": state.question.command,
            "evidence": {"good": before, "bad": after},
            "ends": state.ends,
            "steps": state.steps,
        }
    )
    return found
