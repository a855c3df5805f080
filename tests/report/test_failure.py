"""The explanation of a failed claim: the field, and its bytes marked."""

import itertools

import msgspec
import pytest

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.model import (
    Facts,
    KernelIdentity,
    Level,
    Mismatch,
    Observation,
    Proof,
    RawExit,
    Status,
    Verdict,
)
from sysevent.report import failure

RAW = RawExit(0, 0, False, 1, 0xAA, bytes(n % 256 for n in range(320)), 0, 0, ())


def dump(*spans):
    return failure.dump(RAW, tuple(Mismatch("x", "1", "2", span) for span in spans))


def marked(lines):
    """Return the bytes above the marks, as numbers."""
    found = []
    for row, marks in itertools.pairwise(lines):
        if "^" in marks:
            found += [int(row[at : at + 2], 16) for at in range(len(marks)) if marks[at : at + 2] == "^^"]
    return found


@pytest.mark.parametrize(
    ("span", "rows"),
    [
        ((8, 12), 4),
        ((32, 36), 4),
        ((36, 40), 4),
        ((40, 48), 4),
        ((44, 52), 4),
        ((160, 168), 11),
        ((303, 305), 20),
    ],
)
def test_the_wrong_bytes_are_marked(span, rows):
    """Exactly these, also across rows. Rows beyond the first 64 bytes are shown as far as a byte is wrong."""
    lines = dump(span)
    assert marked(lines) == [n % 256 for n in range(*span)]
    assert len([line for line in lines if "^" not in line]) == rows


def test_several_fields():
    assert marked(dump((8, 12), (36, 40), (32, 36))) == [8, 9, 10, 11, *range(32, 40)]


def test_rows_bear_their_offset():
    assert dump()[0] == "  0  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"
    assert dump()[3].startswith(" 48  30 31")
    assert len(dump()) == 4
    assert dump((36, 40))[3] == "     " + " " * 12 + "^^ ^^ ^^ ^^  x"


def test_wrong_members_are_named():
    """Each below every row that it has bytes in."""
    wrong = (Mismatch("type", "1", "2", (32, 36)), Mismatch("data[0]", "1", "2", (40, 50)))
    marks = [line.rpartition("^^")[2] for line in failure.dump(RAW, wrong) if "^^" in line]
    assert marks == ["  type, data[0]", "  data[0]"]


def test_a_whole_union_is_not_marked():
    """Such marks would point at nothing."""
    assert marked(dump((32, 288))) == []


def test_a_mismatch_without_bytes():
    assert dump(None) == dump()


@pytest.fixture
def explained(recording):
    """Return the explanation of a SYSTEM_OFF whose ndata is 3, and the facts of its target."""
    found = recording("debian-6.12")
    facts, seen = found.facts["arm64-tcg"], found.of("arm64-tcg", "arm64.psci.off")
    raw = seen.exits["exit"]
    raw = msgspec.structs.replace(raw, head=raw.head[:36] + b"\3\0\0\0" + raw.head[40:])
    broken = msgspec.structs.replace(seen, exits=seen.exits | {"exit": raw})
    claim, evidence = catalogue.load().claim("arm64.psci.off"), ExitEvidence(facts, broken)
    return failure.explain(claim, claim.judge(evidence), evidence), facts


def test_explain(explained):
    """It has the claim, field, source, contract, kernel, VMM and bytes."""
    lines, facts = explained
    assert lines[0].startswith("kvm.system_event.arm64.psci.off: ndata: got 3, expected 1. PSCI SYSTEM_OFF")
    assert lines[1].startswith("  rests on Documentation/virt/kvm/api.rst")
    assert lines[2] == "  judged by type, ndata, data[16] (capability 215, since v5.18)"
    assert lines[3] == f"  Linux {facts.release}, VMM arm64 {facts.build_id}"
    assert lines[4] == "  kvm_run at 'exit', poison aa; ^^ marks what is wrong:"
    assert marked(lines[5:]) == [3, 0, 0, 0]


def of_exits(exits, *wrong):
    """Return the lines about the bytes of a failure with several exits."""
    seen = Observation("s", "arm64", "arm64", dict.fromkeys(exits, RAW), {}, {})
    verdict = Verdict("t", Status.FAIL, Level.ABI, "why", wrong)
    claim = catalogue.load().claim("arm64.psci.off")
    return failure.explain(claim, verdict, ExitEvidence(Facts("arm64", "6.1", {}, {}), seen))


def test_only_exits_with_something_wrong_are_shown():
    """What is wrong with one is not marked in another."""
    wrong = (Mismatch("other: ndata", "1", "0", (36, 40)), Mismatch("other: type", "1", "2", (32, 36)))
    lines = of_exits(("exit", "other", "last"), *wrong)
    assert "  other: ndata: got 0, expected 1" in lines
    assert [line for line in lines if "kvm_run at" in line] == [
        "  kvm_run at 'other', poison aa; ^^ marks what is wrong:",
        "  kvm_run at 'exit', 'last': in run.jsonl",
    ]
    assert any(line.endswith("^^  ndata, type") for line in lines)


def test_exits_of_a_failure_elsewhere():
    """Two of them, without marks."""
    lines = of_exits(("first", "second", "third"), Mismatch("system/215", "1", "0"))
    assert [line for line in lines if "kvm_run at" in line] == [
        "  kvm_run at 'first', poison aa:",
        "  kvm_run at 'second', poison aa:",
        "  kvm_run at 'third': in run.jsonl",
    ]


def test_explain_names_the_kernel(recording):
    """With the build ID that it answered with, if that is known."""
    found = recording("debian-6.12")
    identity = KernelIdentity("ab" * 20, {}, Proof.PROVEN)
    facts = msgspec.structs.replace(found.facts["arm64-tcg"], identity=identity)
    claim, evidence = (
        catalogue.load().claim("arm64.psci.off"),
        ExitEvidence(facts, found.of("arm64-tcg", "arm64.psci.off")),
    )
    lines = failure.explain(claim, claim.judge(evidence), evidence)
    assert f"  build ID {'ab' * 20} (proven)" in lines


def test_an_exit_without_poison():
    assert failure.poison(msgspec.structs.replace(RAW, poison=None)) == "none"
