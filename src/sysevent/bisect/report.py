"""A finding as a text that can be pasted into a mail, and as JSON. No I/O."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from debian.debian_support import Version

from sysevent.bisect.drive import End, Finding
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.question import Question
from sysevent.bisect.state import State
from sysevent.bisect.step import Judged, Step
from sysevent.model import Status
from sysevent.report import failure

_WIDTH = 76
_SHOWN = 20  # suspects
_WITH_BYTES = 2  # claims; the others are named


def text(finding: Finding, state: State, about: Mapping[str, str]) -> str:
    """The whole report; about holds what is known of a revision: author, date, message."""
    question = state.question
    lines: list[str | None] = [*_headline(finding, question)]
    if finding.end is End.FOUND and finding.suspects[0] in about:
        lines += ["", *(f"    {line}".rstrip() for line in about[finding.suspects[0]].splitlines())]
    lines += _evidence(finding, state)
    lines += ["", "Steps:", *_log(state)]
    lines += _tools(state)
    lines += ["", "To search again:", f"    {question.command}", *_again(finding, question)]
    return "\n".join(line for line in lines if line is not None) + "\n"


def _headline(finding: Finding, question: Question) -> list[str]:
    what = "first bad release" if question.kind == "packages" else "first bad commit"
    if question.kind == "packages" and Version(question.bad) < Version(question.good):
        what = "last bad release"  # searched backwards: for what repaired it
    if finding.end is End.FOUND:
        revision = finding.suspects[0]
        lines = [f"{what.capitalize()}: {_named(revision, finding)}"]
    elif finding.end is End.UNDECIDED:
        lines = [f"The {what} is one of these {len(finding.suspects)}, which could not be told apart:"]
        lines += [f"    {_named(revision, finding)}" for revision in finding.suspects[:_SHOWN]]
        if len(finding.suspects) > _SHOWN:
            lines.append(f"    and {len(finding.suspects) - _SHOWN} more")
    else:
        lines = [f"No search: {finding.reason}"]
    lines.append(f"Between good {question.good_named} and bad {question.bad_named}, on {question.arch}.")
    return lines


def _named(revision: str, finding: Finding) -> str:
    title = finding.titles.get(revision, "")
    return f"{revision} ({title})" if title else revision


def pair(finding: Finding, state: State) -> tuple[Step | None, Step | None]:
    """The step before the change and the one after it, as far as they were tried: the evidence."""
    tried = {step.revision: step for step in (*state.ends.values(), *state.steps)}
    if finding.end is End.WRONG_ENDS or finding.end is End.MISFIT:
        return state.ends.get("good"), state.ends.get("bad")
    after = [tried[r] for r in finding.suspects if r in tried and tried[r].outcome is Outcome.BAD]
    before = [tried[r] for r in finding.before if r in tried and tried[r].outcome is Outcome.GOOD]
    return next(iter(before), None), next(iter(after), state.ends.get("bad"))


def _evidence(finding: Finding, state: State) -> list[str | None]:
    before, after = pair(finding, state)
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
        lines += ["", "These fail, too:", *(f"  {one.test}" for one in failed[_WITH_BYTES:])]
    last = state.ends.get("bad")
    if failed and last is not None and finding.end is End.FOUND and last.revision != after.revision:
        other = next((o for o in last.judged if o.test == failed[0].test), None)
        if other is not None and other.mismatches != failed[0].mismatches:
            lines += ["", f"  The bad end fails in another way: {other.reason}"]
    return lines


def _claim(one: Judged) -> list[str]:
    lines = [f"{one.test}: {one.status}", *_wrapped(one.says, "  ")]
    for wrong in one.mismatches:
        lines.append(f"  {wrong.what}: expected {wrong.expected}, got {wrong.got}")
    if not one.mismatches:
        lines += _wrapped(one.reason, "  ") if one.reason != one.says else []
    return [*lines, *_wrapped(f"rests on {one.source}", "  ")]


def _gap(one: Judged) -> str | None:
    """Bytes stand apart; a line alone does not."""
    return "" if one.observation else None


def _raw(one: Judged, marked: Judged) -> list[str]:
    """The bytes of kvm_run that one was judged by, with what is wrong in the marked one marked in both."""
    seen = one.seen
    if seen is None:  # headers leave no bytes, and what could not be asked neither
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


def _again(finding: Finding, question: Question) -> list[str]:
    if question.kind == "packages":
        suspects = finding.suspects[-1:]
        return [
            line
            for revision in suspects
            for line in (
                "To try one release:",
                f"    sysevent bisect run --kernel debian:{revision} {' '.join(question.options())}",
            )
        ]
    if finding.end is not End.FOUND:
        return []
    return [
        "To try one commit:",
        f"    git checkout {finding.suspects[0][:12]} && sysevent bisect run {' '.join(question.options())}",
    ]


def _short(step: Step) -> str:
    revision = step.revision[:12] if len(step.revision) >= 40 else step.revision
    kernel = f", Linux {step.kernel}" if step.kernel and step.kernel not in step.title else ""
    return f"{revision} ({step.title}){kernel}" if step.title else f"{revision}{kernel}"


def _wrapped(words: str, indent: str) -> list[str]:
    return textwrap.wrap(
        words, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )


def as_json(finding: Finding, state: State) -> dict[str, Any]:
    """Everything the text says, and every byte behind it."""
    before, after = pair(finding, state)
    found: dict[str, Any] = msgspec.to_builtins(
        {
            "end": finding.end.value,
            "reason": finding.reason,
            "suspects": [{"revision": r, "title": finding.titles.get(r, "")} for r in finding.suspects],
            "before": finding.before,
            "claims": finding.tests,
            "question": state.question,
            "command": state.question.command,
            "evidence": {"good": before, "bad": after},
            "ends": state.ends,
            "steps": state.steps,
        }
    )
    return found
