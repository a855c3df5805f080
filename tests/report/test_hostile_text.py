"""Nothing that is in a record acts on a terminal, or begins a line of its own, whatever renders it."""

import itertools
from typing import get_args

import msgspec
import pytest
from hostile_values import HOSTILE, hostile

from sysevent.bisect import report as bisect_report
from sysevent.bisect.drive import Conclusion, Ending
from sysevent.bisect.question import Question
from sysevent.bisect.state import State
from sysevent.bisect.step import Step
from sysevent.contract.readers import READERS
from sysevent.report import difference, difference_text, records, text_report
from sysevent.report.renderers import RENDERERS

KINDS = get_args(records.Record)


def is_safe(text):
    """Whether a text has no character that acts on a terminal, and no line that a value has begun."""
    return all(c.isprintable() or c in "\n\t" for c in text) and "\nPASS kvm" not in text


def run():
    """A record of each kind, and those of an architecture that is known, so that they are decoded."""
    found = [hostile(kind) for kind in KINDS]
    for arch in ("arm64", "riscv64", "x86_64"):
        target = msgspec.structs.replace(hostile(records.Target), arch=arch, name=f"{arch} {HOSTILE}")
        seen = msgspec.structs.replace(
            hostile(records.Observation), arch=arch, abi=arch, target=target.name, scenario=f"{arch}.facts"
        )
        found += [target, seen, msgspec.structs.replace(seen, scenario=HOSTILE)]
    for status in records.Status:
        found.append(msgspec.structs.replace(hostile(records.Verdict), status=status, native=False))
    return found


def test_the_values_are_hostile():
    """Each kind of record with a string has the one that must not be printed."""
    assert not is_safe(HOSTILE)
    for kind in KINDS:
        assert HOSTILE in set(strings(hostile(kind)))


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain(*map(strings, value), *map(strings, value.values()))
    elif isinstance(value, tuple | list):
        yield from itertools.chain(*map(strings, value))
    elif isinstance(value, msgspec.Struct):
        yield from strings(msgspec.structs.asdict(value))


@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda renderer: renderer.name)
def test_every_format(renderer):
    assert is_safe(renderer.render(run()))


def test_every_reader():
    for reader in READERS:
        assert is_safe("\n".join(line.text for line in text_report.lines(run(), reader.name)))


def test_the_difference_of_two_runs():
    """Also of facts, answers and exits that only one of them has."""
    one = run()
    other = [
        msgspec.structs.replace(record, capabilities={f"{HOSTILE}x": 2}, vmm=f"{HOSTILE}x")
        if isinstance(record, records.Target)
        else msgspec.structs.replace(
            record, answers={f"{HOSTILE}x": next(iter(record.answers.values()))}, exits={}
        )
        if isinstance(record, records.Observation)
        else record
        for record in one
    ]
    found = difference.compare(difference.by_target(one), difference.by_target(other))
    lines = difference_text.lines(found)
    assert is_safe("\n".join(lines))
    assert all("\n" not in line for line in lines)
    assert len(lines) > 10


@pytest.mark.parametrize("end", Ending)
@pytest.mark.parametrize("kind", ["build", "packages"])
def test_the_report_of_a_bisection(tmp_path, end, kind):
    question = msgspec.structs.replace(hostile(Question), kind=kind, good="1.0", bad="2.0")
    steps = [
        msgspec.structs.replace(hostile(Step), outcome=outcome, revision=f"{HOSTILE}{outcome}")
        for outcome in bisect_report.Outcome
    ]
    state = State(tmp_path, question, {"good": steps[0], "bad": steps[1]}, steps)
    names = tuple(step.revision for step in steps)
    conclusion = Conclusion(end, HOSTILE, names, dict.fromkeys(names, HOSTILE), names, (HOSTILE,))
    text = bisect_report.text(conclusion, state, dict.fromkeys(names, f"{HOSTILE}\nAuthor: {HOSTILE}"))
    assert is_safe(text)
