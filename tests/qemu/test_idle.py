"""Waiting until a guest is idle."""

import os
import subprocess
import sys

import pytest

from sysevent.qemu.idle import cpu_demand, wait_until_idle


class Machine:
    """A clock that sleep() moves on, and a QEMU that needs a share of each of its looks."""

    def __init__(self, *shares):
        self.now, self.used, self.shares = 0.0, 0.0, list(shares)

    def sleep(self, seconds):
        self.now += seconds
        self.used += seconds * (self.shares.pop(0) if len(self.shares) > 1 else self.shares[0])

    def seconds(self):
        wait_until_idle(1, lambda _: self.used, self.sleep, lambda: self.now)
        return round(self.now, 3)


@pytest.mark.parametrize(
    ("shares", "seconds"),
    [
        ([0.0], 0.2),
        ([0.01], 0.2),
        ([0.9, 0.9, 0.0], 0.3),
        ([0.0, 0.0, 0.5, 0.0], 0.35),
        ([0.3], 1.0),
        ([2.0], 1.0),
    ],
)
def test_four_idle_looks_in_a_row(shares, seconds):
    assert Machine(*shares).seconds() == pytest.approx(seconds, abs=0.06)


def test_a_process_that_works():
    before = cpu_demand(os.getpid())
    sum(range(300_000))
    assert before < cpu_demand(os.getpid()) < before + 60


def test_a_process_that_is_gone():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert cpu_demand(ended.pid) == 0.0
