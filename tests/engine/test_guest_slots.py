"""Guests of several runs on one machine: schedulers that share its slots."""

import threading
import time

import msgspec
import pytest
from fakes import CONTROL, Counter, FakeOpener, payload, scenario

from sysevent import settings
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.engine.loop import Loop
from sysevent.engine.scheduler import Scheduler
from sysevent.plugin.leased import Leased
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec

FACTS = (scenario("x86_64.facts"),)


class Run:
    """As plugin/run.py: takes what is wanted, and lets go of everything before it waits."""

    def __init__(self, folder, counter, names, slots):
        mine = msgspec.structs.replace(settings.from_environment(), locks=folder)
        self.told = []
        listeners = Listeners(lambda _: None, self.told.append, lambda *_: None)
        loop = Loop()
        self.askers = [
            Asker(
                TargetSpec(name=name, arch="x86_64", where="tcg", lease=20),
                FakeOpener(name, counter),
                mine,
                folder,
                listeners,
                facts=FACTS,
                loop=loop,
                payload=payload,
                control=CONTROL,
            )
            for name in names
        ]
        leases = Leases(mine, slots, waiting=lambda: self.scheduler.end_all())
        self.leased = Leased(leases, self.told.append, self.told.append, print)
        self.scheduler = Scheduler(self.askers, loop, self.told.append, max_running=2, slots=self.leased)
        self.scheduler.begin()

    def start(self, asker):
        self.leased.take(asker.spec)
        self.scheduler.require(asker)
        assert runs(asker)

    def ask(self, asker):
        self.start(asker)
        self.scheduler.release(asker)

    def close(self):
        self.scheduler.close()
        self.leased.close()


def runs(asker):
    return asker.restarts.session is not None


@pytest.fixture
def counter():
    return Counter()


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_runs_side_by_side_all_end(tmp_path, counter, slots):
    """In opposite orders, each with guests ahead of their turn: none hangs waiting for another one."""
    names = ["a", "b", "c"]

    def go(order):
        run = Run(tmp_path, counter, order, slots)
        for _ in range(3):
            for asker in run.askers:
                run.ask(asker)
        run.close()
        ended.append(order)

    ended = []
    threads = [threading.Thread(target=go, args=(order,)) for order in (names, names[::-1], names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ended) == 3
    assert counter.most <= slots
    assert counter.now == 0


def test_a_guest_ahead_of_its_turn_does_not_wait(tmp_path, counter):
    """With one slot the second guest just does not start, until the first is done."""
    run = Run(tmp_path, counter, ["a", "b"], 1)
    first, second = run.askers
    run.start(first)
    run.scheduler.attend()
    assert (runs(first), runs(second)) == (True, False)
    run.scheduler.release(first)
    run.ask(second)
    run.close()
    assert run.told == []


def test_a_run_that_waits_has_no_guest(tmp_path, counter):
    one, two = (Run(tmp_path, counter, names, 2) for names in (["a", "b"], ["c", "d"]))
    one.ask(one.askers[0])
    end = time.monotonic() + 5
    # Ahead of its turn, as soon as the thread has prepared it.
    while not runs(one.askers[1]):
        assert time.monotonic() < end
        one.scheduler.attend()
    two.start(two.askers[0])
    assert counter.now == 2
    # What one wants next is neither held nor to be had without letting go of b first.
    one.leased.take(TargetSpec(name="x", arch="x86_64", where="tcg", lease=5))
    assert not runs(one.askers[1])
    for run in (one, two):
        run.close()
    assert counter.now == 0
