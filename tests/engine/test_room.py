"""Guests of several runs on one machine: fleets that share its slots."""

import threading
from types import SimpleNamespace

import msgspec
import pytest

from sysevent import settings
from sysevent.engine.fleet import Fleet
from sysevent.plugin.leased import Leased
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec


class Guest:
    """One that boots in no time."""

    ahead, finished = 0, False

    def __init__(self, name, counter):
        self.spec = TargetSpec(name=name, arch="arm64", where="tcg", lease=20)
        self.arch = SimpleNamespace(name="none")
        self.life = SimpleNamespace(
            prepared=False, prepare=self.prepare, start=self.start, host=None, others=None
        )
        self.runs = False
        self._counter = counter

    def prepare(self, _):
        self.life.prepared = True

    def start(self):
        self.runs = True
        self._counter.change(+1)

    def attend(self):
        pass

    def close(self):
        if self.runs:
            self.runs = False
            self._counter.change(-1)


class Counter:
    """How many run at a time, over all fleets."""

    def __init__(self):
        self.now = self.most = 0
        self._lock = threading.Lock()

    def change(self, by):
        with self._lock:
            self.now += by
            self.most = max(self.most, self.now)


class Run:
    """As plugin/run.py: takes what is wanted, and lets go of everything before it waits."""

    def __init__(self, folder, counter, names, slots):
        mine = msgspec.structs.replace(settings.from_environment(), locks=folder)
        self.told = []
        self.guests = [Guest(name, counter) for name in names]
        self.leased = Leased(mine, self.told.append, self.told.append, lambda: self.fleet.retreat(), print)
        self.leased._leases = Leases(mine, slots, waiting=lambda: self.fleet.retreat())
        self.fleet = Fleet(self.guests, mine, self.told.append, 2, self.leased)
        self.fleet.begin()

    def ask(self, guest):
        self.leased.take(guest.spec)
        self.fleet.wanted(guest)
        assert guest.runs
        self.fleet.done(guest)

    def close(self):
        self.fleet.close()
        self.leased.close()


@pytest.fixture
def counter():
    return Counter()


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_runs_side_by_side_all_end(tmp_path, counter, slots):
    """In opposite orders, each with guests ahead of their turn: none waits for another for ever."""
    names = ["a", "b", "c"]

    def go(order):
        run = Run(tmp_path, counter, order, slots)
        for _ in range(3):
            for guest in run.guests:
                run.ask(guest)
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
    first, second = run.guests
    run.leased.take(first.spec)
    run.fleet.wanted(first)
    run.fleet.attend()
    assert (first.runs, second.runs) == (True, False)
    run.fleet.done(first)
    run.ask(second)
    run.close()
    assert run.told == []


def test_who_waits_has_no_guest(tmp_path, counter):
    one, two = (Run(tmp_path, counter, names, 2) for names in (["a", "b"], ["c", "d"]))
    one.ask(one.guests[0])
    one.fleet.attend()
    assert one.guests[1].runs  # ahead of its turn
    two.leased.take(two.guests[0].spec)
    two.fleet.wanted(two.guests[0])
    assert counter.now == 2
    # What one wants next is neither held nor to be had without letting go of b first.
    one.leased.take(TargetSpec(name="x", arch="arm64", where="tcg", lease=5))
    assert not one.guests[1].runs
    for run in (one, two):
        run.close()
    assert counter.now == 0
