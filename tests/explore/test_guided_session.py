"""An exploration that records what it reaches, and is guided by it."""

import math

from conformance.model_kernels import FACTS, ModelKernel
from coverages import BASE, POINTS, covered

from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.scenario import scenario
from sysevent.decode.instrumented import Point
from sysevent.explore import change, generate
from sysevent.explore.coverage import Coverage
from sysevent.explore.session import BATCH, Limits, Session
from sysevent.scenario.cover import Cover

CONTRACT = CONTRACTS["arm64"](FACTS["arm64"])
# Points that are reached by one after another of these actions, of one vCPU.
IN_ORDER = ("set_state", "line", "set_state", "init", "line", "init", "set_state", "line")
DEEP = {BASE + 100 + n: Point("arch/arm64/kvm/arm.c", n + 1, "deep") for n in range(len(IN_ORDER))}


def reaches(sequence, seen):
    """Each sequence executes the code of its actions as far as they are the ones in order."""
    depth = 0
    for action in sequence.actions:
        if depth < len(IN_ORDER) and action.kind == IN_ORDER[depth] and action.vcpu == 0:
            depth += 1
    return covered(seen, 4, *(100 + n for n in range(depth)))


def explore(most, *, guided, points=POINTS, seed=1):
    known, asked, lines = {}, [], []

    def remembered(of, sequence):
        made = scenario(of, sequence)
        known[made.name] = sequence
        return made

    class Recording(ModelKernel):
        def observe(self, one):
            asked.append(one)
            return super().observe(one)

    def boots(name, *, fresh):
        return Recording(CONTRACT, FACTS["arm64"], known, reaches)

    session = Session(boots, Limits(math.inf, most), seed, lines.append, remembered, math.inf)
    session.coverage, session.guided = Coverage(points), guided
    session.open()
    report = session.run(CONTRACT, ())
    return session.coverage, report, asked, lines


def test_each_sequence_is_recorded_and_nothing_else_changes():
    coverage, report, asked, lines = explore(24, guided=True)
    assert report.findings == []
    assert coverage.reached[BASE + 4] == 24
    for one in asked:
        assert isinstance(one.steps[0], Cover)
        assert isinstance(one.steps[-1], Cover)
    assert "lines 1 of 4; findings 0" in lines[-1]


def test_what_reached_something_new_is_changed():
    """Every other batch: the second one is made of what the first one has left."""
    size = len(generate.batch(CONTRACT, 1, BATCH))
    first, _, _, _ = explore(size, guided=True, points=DEEP)
    _, _, asked, _ = explore(size + 10, guided=True, points=DEEP)
    made = change.batch(CONTRACT, 1, BATCH, first.kept)[:10]
    assert [one.name for one in asked[size:]] == [scenario(CONTRACT, one).name for one in made]


def test_unguided_asks_what_an_exploration_without_coverage_asks():
    coverage, _, asked, _ = explore(70, guided=False)
    again, _, others, _ = explore(70, guided=False)
    assert [one.name for one in asked] == [one.name for one in others]
    assert coverage.reached == again.reached
