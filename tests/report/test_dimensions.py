"""How many claims were judged in each dimension."""

import sample_records

from sysevent.report.dimensions import lines


def verdict(test, status, **dimensions):
    return sample_records.verdict(test, "arm64-tcg", status, dimensions=dimensions)


def test_the_last_verdict_of_each_claim_counts_in_each_of_its_dimensions():
    run = [
        verdict("off", "PASS"),
        verdict("off.gicv3", "MISS", irqchip="gicv3"),
        verdict("off.gicv3", "PASS", irqchip="gicv3"),
        verdict("reset.gicv3", "FAIL", irqchip="gicv3", caller="1 of 2"),
        sample_records.INCIDENT,
    ]
    assert list(lines(run)) == ["caller 1 of 2: 1 FAIL", "irqchip gicv3: 1 FAIL, 1 PASS"]


def test_a_run_without_dimensions():
    assert list(lines([verdict("off", "PASS")])) == []
