"""SKIP, grouped by what would make the claims apply."""

import msgspec
import pytest
import sample_records

from sysevent.contract.terms import Need
from sysevent.model import Facts
from sysevent.report import skips


def reason(*fields, **more):
    return Need(*fields, **more).why_not(Facts("arm64", "6.12.1", {}, {}, ""))


def skipped(test, why, target="arm64-tcg", **more):
    return sample_records.verdict(f"kvm.system_event.{test}", target, "SKIP", reason=why, **more)


OFF2 = reason("SYSTEM_OFF2 (97413cea1c48)", (6, 13), "vm/1")
SUSPEND = reason("SBI system suspend (023c15151fbb)", (6, 13), "vm/2")


def test_a_release():
    """One line for all that needs the same release, on all targets; the causes of most claims come first."""
    run = [
        skipped("x", reason("a GICv2", None, "vm/3", requires="a machine: one that has it")),
        skipped("c", SUSPEND, "riscv64-tcg", abi="riscv64"),
        skipped("a", OFF2),
        skipped("b", OFF2),
    ]
    assert skips.lines(run) == skips.lines(run[::-1])
    assert skips.lines(run) == [
        "SKIP 3 on arm64-tcg, riscv64-tcg: needs Linux 6.13 or a backport (SBI system suspend (023c15151fbb), "
        "SYSTEM_OFF2 (97413cea1c48))",
        "SKIP 1 on arm64-tcg: no a GICv2: needs a machine: one that has it",
    ]


@pytest.mark.parametrize(
    ("why", "line"),
    [
        (reason("TDX", None, "vm/3"), "no TDX here"),
        (
            reason("TDX", None, "vm/3", absent=True),
            "Linux 6.12.1 has TDX; this claim is about kernels without it",
        ),
        ("qemu-system-aarch64 is not installed\nand more", "qemu-system-aarch64 is not installed"),
        ("", ""),
    ],
)
def test_other_reasons(why, line):
    assert skips.lines([skipped("a", why)]) == [f"SKIP 1 on arm64-tcg: {line}"]


def test_only_the_last_verdict_of_a_claim():
    again = sample_records.verdict("kvm.system_event.a", "arm64-tcg", "PASS")
    assert skips.lines([skipped("a", OFF2), again]) == []


def test_each_claim_counts_once():
    twice = skipped("a", OFF2)
    assert skips.lines([twice, msgspec.structs.replace(twice, seconds=2.0)])[0].startswith("SKIP 1 on")
