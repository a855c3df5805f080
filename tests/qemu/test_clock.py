"""The rate of a guest's counter, on its kernel's command line."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.qemu import clock


@pytest.mark.parametrize(
    ("arch", "accel", "khz", "words"),
    [
        ("x86_64", "tcg", 2_300_000, "tsc_early_khz=2300000"),
        ("x86_64", "kvm", 2_300_000, ""),
        ("arm64", "tcg", 2_300_000, ""),
        # A wrong rate would be worse than none: the guest's watchdogs would be short, or would never end.
        ("x86_64", "tcg", 0, ""),
    ],
)
def test_only_where_it_is_calibrated(arch, accel, khz, words):
    assert clock.kernel_words(ARCHITECTURES[arch], accel, lambda: khz) == words


@pytest.mark.parametrize(
    ("khz", "rounded"), [(2_299_998.5, 2_300_000), (2_300_003, 2_300_000), (2_594_000, 2_600_000), (9, 0)]
)
def test_the_same_in_every_run(khz, rounded):
    """It is a part of the key of snapshots."""
    assert clock.rounded(khz) == rounded


def test_this_machine():
    """It is measured, or unknown."""
    assert clock.counter_khz() == 0 or 500_000 <= clock.counter_khz() <= 10_000_000
