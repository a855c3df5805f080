"""Several runs as one: which verdict counts, which targets are the same, and the exit code."""

import msgspec
import pytest
import sample_records
from sample_records import END, RUN, TARGET, verdict

from sysevent.report import exit_code, merging, records, text_report
from sysevent.report.matrix import last_verdicts, matrix

NEWER = msgspec.structs.replace(TARGET, kernel="6.12.0", spec="debian:6.12", build_id="cd" * 20)
FAILED = msgspec.structs.replace(END, exit=1)


def of(status, target="arm64-tcg", **more):
    return verdict("kvm.system_event.arm64.a", target, status, **more)


def run(*found, number=1, end=END):
    """A run with some records; end None: it was killed."""
    begin = msgspec.structs.replace(RUN, id=str(number))
    return [begin, *found, *([end] if end else [])]


def statuses(found):
    """The matrix of a run: a list for each column."""
    table = matrix(found)
    return {place: [cells[at] for _, cells in table.rows] for at, place in enumerate(table.columns)}


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        ("FAIL", "PASS", "FAIL"),
        ("PASS", "FAIL", "FAIL"),
        ("MISS", "PASS", "MISS"),
        ("SKIP", "PASS", "PASS"),
        ("ERROR", "FAIL", "FAIL"),
    ],
)
def test_the_worst_verdict_of_several_runs_counts(first, second, counts):
    merged = merging.merge([run(TARGET, of(first)), run(TARGET, of(second), number=2)])
    assert statuses(merged) == {"arm64-tcg": [counts]}
    different = f"kvm.system_event.arm64.a on arm64-tcg ({first}, {second})"
    assert different in text_report.render(merged)


def test_the_last_verdict_of_one_run_counts():
    """Of each run; nothing is lost before."""
    merged = merging.merge([run(of("FAIL"), of("PASS")), run(of("FAIL"), of("DONE"), number=2)])
    assert statuses(merged) == {"arm64-tcg": ["PASS"]}
    assert sum(isinstance(record, records.Verdict) for record in merged) == 4
    assert "FAIL" not in text_report.render([*run(of("FAIL"), of("PASS"))])


def test_shards_of_one_target():
    """The same kernel: one column, and no record is changed."""
    shards = [
        run(TARGET, of("PASS")),
        run(TARGET, verdict("kvm.system_event.arm64.b", "arm64-tcg", "PASS"), number=2),
    ]
    merged = merging.merge(shards)
    assert merged == [*shards[0], *shards[1]]
    assert statuses(merged) == {"arm64-tcg": ["PASS", "PASS"]}


def test_the_same_name_with_different_kernels():
    """They are different targets, in every record."""
    merged = merging.merge(
        [run(TARGET, of("FAIL")), run(NEWER, of("PASS"), sample_records.INCIDENT, number=2)]
    )
    assert statuses(merged) == {"arm64-tcg@debian:6.1": ["FAIL"], "arm64-tcg@debian:6.12": ["PASS"]}
    names = {getattr(record, "target", getattr(record, "name", "")) for record in merged}
    assert names == {"", "arm64-tcg@debian:6.1", "arm64-tcg@debian:6.12"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"build_id": "ef" * 20}, ["t@debian:6.1@abababababab", "t@debian:6.1@efefefefefef"]),
        ({"build_id": ""}, ["t@debian:6.1@abababababab", "t@debian:6.1"]),
        ({"kernel": "6.1.9"}, ["t@debian:6.1@6.1.0", "t@debian:6.1@6.1.9"]),
        ({"spec": ""}, ["t@debian:6.1", "t@6.1.0"]),
        ({"mode": {"mode": "nvhe"}}, ["t@debian:6.1@kvm=cdcdcdcdcdcd", None]),
    ],
)
def test_kernels_are_told_apart_by_what_differs(change, names):
    one = msgspec.structs.replace(TARGET, name="t")
    merged = merging.merge([run(one), run(msgspec.structs.replace(one, **change), number=2)])
    found = [record.name for record in merged if isinstance(record, records.Target)]
    expected = [name or "t@debian:6.1@kvm=cdcdcdcdcdcd mode=nvhe" for name in names]
    assert found == expected


def test_a_target_that_did_not_answer():
    """It is the target of that name in the other run."""
    lost = of("MISS", kernel="")
    merged = merging.merge([run(TARGET, of("PASS")), run(lost, number=2, end=FAILED)])
    assert statuses(merged) == {"arm64-tcg": ["MISS"]}


def test_headers_of_different_kernels():
    merged = merging.merge(
        [run(of("PASS", "headers", kernel="6.1")), run(of("FAIL", "headers", kernel="6.12"), number=2)]
    )
    assert statuses(merged) == {"headers@6.1": ["PASS"], "headers@6.12": ["FAIL"]}


def test_a_run_without_its_first_record():
    """It stays a run of its own."""
    merged = merging.merge([run(of("FAIL"), end=FAILED), [of("PASS")]])
    assert len(merging.split(merged)) == 2
    assert statuses(merged) == {"arm64-tcg": ["FAIL"]}


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([run(of("PASS"))], 0),
        ([run(of("FAIL"), end=FAILED)], 1),
        # The log says more than its end, such as one that was edited.
        ([run(of("FAIL"))], 1),
        ([run(of("SKIP"))], 5),
        ([run(of("PASS"), end=msgspec.structs.replace(END, exit=2, reason="SIGTERM"))], 2),
        ([run(of("PASS"), end=FAILED)], 1),
        # Killed: at least an interruption.
        ([run(of("PASS"), end=None)], 2),
        ([run(of("FAIL"), end=None)], 1),
        ([run(end=None)], 2),
        ([run(of("PASS")), run(of("SKIP", "t"), end=msgspec.structs.replace(END, exit=5))], 0),
        ([run(of("PASS")), run(of("PASS"), end=None)], 2),
        ([run(of("PASS"), end=None), run(of("MISS"), end=FAILED)], 1),
        ([run(of("PASS"), end=msgspec.structs.replace(END, exit=77)), run(of("PASS"))], 77),
    ],
)
def test_exit_code(runs, code):
    assert exit_code.of(merging.merge(runs)) == code


def test_what_counts_is_the_same_everywhere():
    """A verdict that was superseded is in no line of the text."""
    superseded = of("FAIL", reason="superseded", dimensions={"irqchip": "gicv3"})
    found = run(superseded, of("PASS", dimensions={"irqchip": "gicv3"}))
    assert [one.status for one in last_verdicts(found).values()] == ["PASS"]
    assert "superseded" not in text_report.render(found)
    assert "irqchip gicv3: 1 PASS" in text_report.render(found)


def test_a_run_without_records():
    """The command line refuses it; here it is a run that has not ended."""
    assert exit_code.of(merging.merge([run(of("PASS")), []])) == 2
