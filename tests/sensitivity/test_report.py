"""The report of a measurement."""

import msgspec

from sysevent.model import Status
from sysevent.sensitivity import others, report
from sysevent.sensitivity.drive import Judged, Measurement
from sysevent.sensitivity.mutants import Mutant
from sysevent.sensitivity.operators import Edit
from sysevent.sensitivity.verdicts import Fate, Result, Verdicts


def judged(key, fate, function="f", **more):
    mutant = Mutant(
        key,
        "a.c",
        function,
        "delete",
        7,
        "g();",
        ";",
        "{",
        "--- a/a.c\n+++ b/a.c\n",
        Edit(0, 1, b"", "delete"),
    )
    return Judged(mutant, Result(fate, **more), 1.5)


FOUND = Measurement(
    "ab",
    Verdicts({"kvm.system_event.a": Status.PASS, "kvm.system_event.e": Status.FAIL}, "ab"),
    (
        judged("m1", Fate.KILLED, killers=("kvm.system_event.a", "kvm.system_event.b")),
        judged("m2", Fate.SURVIVED),
        judged("m3", Fate.NOTICED, "h", noticed=("kvm.system_event.b",)),
        judged("m4", Fate.EQUIVALENT, "h", reason="no effect"),
        judged(
            "m5", Fate.INCONCLUSIVE, "h", reason="1 claims without a result", missed=("kvm.system_event.a",)
        ),
    ),
    ("gone",),
)


def test_table():
    assert report.table(FOUND) == [
        "| function | mutants | killed | noticed | survived | inconclusive | equivalent | duplicate | not built |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        "| `f` | 2 | 1 | 0 | 1 | 0 | 0 | 0 | 0 |",
        "| `h` | 3 | 0 | 1 | 0 | 1 | 1 | 0 | 0 |",
        "| all | 5 | 1 | 1 | 1 | 1 | 1 | 0 | 0 |",
    ]


def test_rates():
    first, second = report.rates(FOUND)
    assert first == "kill rate: 1 of 4 mutants that are not equivalent, 25.0%"
    assert second == "with --strict-observed: 50.0%; with those that leave KVM without a result: 75.0%"


def test_text_has_every_mutant_that_lives():
    text = report.text(FOUND)
    assert "m1" not in text
    for part in (
        "m2 a.c:7 f: delete",
        "DONE: b",
        "without a result: a",
        "--- a/a.c",
        "not in this tree: gone",
    ):
        assert part in text


def test_matrix():
    assert [line.split("\t")[4:] for line in report.matrix(FOUND).splitlines()] == [
        ["fate", "a", "b"],
        ["killed", "F", "F"],
        ["survived", "", ""],
        ["noticed", "", "D"],
        ["equivalent", "", ""],
        ["inconclusive", "M", ""],
    ]


def test_json():
    found = report.as_json(FOUND, "arm64")
    assert (found["counted"], found["kill_rate"], found["counts"]["killed"]) == (4, 0.25, 1)
    assert found["failing"] == ["kvm.system_event.e"]
    assert found["mutants"][0]["killers"] == ["kvm.system_event.a", "kvm.system_event.b"]


SELFTEST, UNIT, EVENT = "selftests.psci_test", "kvm-unit-tests.psci", "qemu-5.2.psci.off"
CHANGED = f"{EVENT}: SHUTDOWN guest-shutdown; exit code 0 -> no event"


def all_of(key, fate, *killers, selftests=Fate.SURVIVED):
    """A mutant that these kill; selftests: what becomes of it with them otherwise."""
    found = {}
    for suite, name in (("selftests", SELFTEST), ("kvm-unit-tests", UNIT), ("qemu-5.2", EVENT)):
        said = Fate.KILLED if name in killers else selftests if suite == "selftests" else Fate.SURVIVED
        reason = CHANGED if name == EVENT and name in killers else ""
        found[suite] = Result(said, reason, killers=(name,) if name in killers else ())
    return msgspec.structs.replace(judged(key, fate), beside=found)


COMPARED = msgspec.structs.replace(
    FOUND,
    beside={
        "selftests": Verdicts({SELFTEST: Status.PASS}),
        "kvm-unit-tests": Verdicts({UNIT: Status.PASS}),
        "qemu-5.2": Verdicts({EVENT: Status.PASS}),
    },
    judged=(
        all_of("m1", Fate.KILLED, SELFTEST, UNIT, EVENT),
        all_of("m2", Fate.KILLED),
        all_of("m3", Fate.SURVIVED, SELFTEST),
        all_of("m4", Fate.SURVIVED, selftests=Fate.INCONCLUSIVE),
        # Not given to others, because it is the original.
        judged("m5", Fate.EQUIVALENT),
    ),
)


def test_who_catches_what():
    assert list(others.lines(COMPARED)) == [
        "| killed by | of 4 mutants | alone | no result |",
        "|---|---:|---:|---:|",
        "| claims | 2 | 1 | 0 |",
        "| selftests | 2 | 1 | 1 |",
        "| kvm-unit-tests | 1 | 0 | 0 |",
        "| qemu-5.2 | 1 | 0 | 0 |",
        "| none of them | 1 | | |",
        f"m3 f: delete: g();: survived, and killed by {SELFTEST}",
        f"m1 f: delete: g();: {CHANGED}",
    ]


def test_who_catches_what_in_numbers():
    found = others.as_json(COMPARED)
    assert found["mutants"] == 4
    assert found["killed"] == {"claims": 2, "selftests": 2, "kvm-unit-tests": 1, "qemu-5.2": 1}
    assert found["killed_alone"] == {"claims": 1, "selftests": 1, "kvm-unit-tests": 0, "qemu-5.2": 0}
    assert found["killed_by_none"] == 1
    assert found["original"] == {SELFTEST: "PASS", UNIT: "PASS", EVENT: "PASS"}


def test_others_are_in_every_form():
    assert "| selftests | 2 | 1 | 1 |" in report.text(COMPARED)
    first = report.as_json(COMPARED, "arm64")["mutants"][0]
    assert list(first["beside"]) == ["selftests", "kvm-unit-tests", "qemu-5.2"]
    expected = {"fate": "killed", "reason": CHANGED, "killers": [EVENT], "missed": []}
    assert first["beside"]["qemu-5.2"] == expected
    heading, *rows = report.matrix(COMPARED).splitlines()
    for killer in (SELFTEST, EVENT):
        assert rows[0].split("\t")[heading.split("\t").index(killer)] == "F"


def test_nothing_of_others_if_they_were_not_asked():
    assert "killed by" not in report.text(FOUND)
    assert report.as_json(FOUND, "arm64")["beside"] is None
