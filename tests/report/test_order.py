"""The order of rows and columns, which is the same for every run."""

import sample_records

from sysevent.report.matrix import ordered_columns
from sysevent.report.order import claim_key, natural


def test_numbers_are_sorted_by_value():
    names = ["", "7", "008", "10", "0xdead", "a", "a-2", "a-10", "a@5.9", "a@5.10", "a@6.1", "a@6.12"]
    assert [name for name in sorted(names, key=natural) if name.startswith("a")] == names[5:]


def test_a_number_of_any_length():
    assert natural("9" * 5000) < natural("9" * 5001)


def test_claims():
    """Layouts, then architecture by architecture, as in the table of architectures."""
    names = ["x86_64.off", "riscv64.a", "arm64.psci.off10", "arm64.psci.off2", "layout.x86_64.union"]
    assert sorted(names, key=claim_key) == [names[4], names[3], names[2], names[1], names[0]]


def test_columns():
    """Headers, then targets by architecture and name, the kernel's own ABI before others."""
    verdicts = [
        sample_records.verdict("a", target, "PASS", abi, native)
        for target, abi, native in (
            ("board", "of-a-later-version", True),
            ("x86_64-tcg", "i386", False),
            ("x86_64-tcg", "x86_64", True),
            ("riscv64-tcg", "riscv64", True),
            ("arm64-tcg@debian:6.1", "arm64", True),
            ("arm64-tcg@debian:5.10", "arm64", True),
            ("headers@6.1", "x32", True),
        )
    ]
    expected = (
        "headers@6.1",
        "arm64-tcg@debian:5.10",
        "arm64-tcg@debian:6.1",
        "riscv64-tcg",
        "x86_64-tcg",
        "x86_64-tcg-i386",
        "board",
    )
    assert ordered_columns(verdicts) == ordered_columns(verdicts[::-1]) == expected
