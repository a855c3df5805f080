"""Targets side by side: which guest runs when."""

import gc
import threading
from pathlib import Path

import pytest
from fakes import HELLO, scenario, until

from sysevent.engine.loop import Loop
from sysevent.engine.question import Question
from sysevent.engine.scheduler import Scheduler
from sysevent.errors import ImageError

MANY = [scenario(f"x86_64.{n}") for n in range(40)]


@pytest.fixture
def together(world):
    """together(names, …): a scheduler of targets with these names, all prepared, and the targets."""
    made = []

    def make(names, *, max_running=2, refused=(), keep=False, **options):
        askers = []
        for name in names:
            opener = world.opener(name)
            opener.refused = ImageError("no such kernel") if name in refused else None
            opener.takes_snapshots = True
            askers.append(world.asker(opener, options=options))
        found = Scheduler(askers, world.loop, world.told.append, max_running=max_running, keep=keep)
        made.append(found)
        found.begin()
        until(lambda: all(asker.restarts.prepared for asker in askers))
        return found, askers

    yield make
    for one in made:
        one.close()
    assert world.counter.now == 0


def planned(count=3, **options):
    return {"plan": lambda _: [Question(found) for found in MANY[:count]]} | options


def attend(scheduler):
    for _ in range(6):
        scheduler.attend()


def test_no_more_than_cores(world, together):
    scheduler, (a, b, c) = together("abc")
    scheduler.require(a)
    assert world.counter.started == ["a", "b"]
    scheduler.release(a)
    scheduler.require(b)
    assert world.counter.started == ["a", "b", "c"]
    scheduler.release(b)
    scheduler.require(c)
    assert (world.counter.started, world.counter.most) == (["a", "b", "c"], 2)


def test_one_core(world, together):
    scheduler, askers = together("ab", max_running=1)
    for one in askers:
        scheduler.require(one)
        one.observe(MANY[1])
        scheduler.release(one)
    assert (world.counter.started, world.counter.most) == (["a", "b"], 1)


def test_the_first_and_then_those_with_most_to_answer(world):
    askers = [
        world.asker(world.opener(name), options={"weight": weight})
        for name, weight in zip("abc", (1, 2, 3), strict=True)
    ]
    scheduler = Scheduler(askers, world.loop, world.told.append, max_running=3)
    scheduler.begin()
    until(lambda: all(asker.restarts.prepared for asker in askers))
    scheduler.attend()
    assert world.counter.started == ["a", "c", "b"]
    scheduler.close()


@pytest.mark.parametrize(
    ("most", "started"), [(3, ["b", "c", "a"]), (2, ["b", "a", "c"]), (1, ["a", "b", "c"])]
)
def test_one_that_is_prepared_does_not_wait_for_one_that_is_not(world, most, started):
    """As long as those before it have a place, too. a is the one that takes its time."""
    openers = [world.opener(name) for name in "abc"]
    here = threading.Event()
    openers[0].prepare = lambda _: here.wait(5)
    askers = [world.asker(opener) for opener in openers]
    scheduler = Scheduler(askers, world.loop, world.told.append, max_running=most)
    for asker in askers[1:]:
        asker.restarts.prepare()
    scheduler.start_prepared()
    assert world.counter.started == started[: most - 1]
    here.set()
    askers[0].restarts.prepare()
    scheduler.start_prepared()
    assert world.counter.started == started[:most]
    scheduler.close()


def test_another_order_than_planned(world, together):
    """One that was started too early makes room, and comes back when it is wanted."""
    scheduler, (a, b, c) = together("abc")
    scheduler.require(a)
    scheduler.require(c)
    assert (world.counter.started, world.counter.now) == (["a", "b", "c"], 2)
    scheduler.release(a)
    scheduler.require(b)
    assert b.observe(MANY[1])
    assert world.counter.most == 2


def test_one_that_has_answered_everything_makes_room(world, together):
    scheduler, askers = together("abc", **planned())
    scheduler.require(askers[0])
    attend(scheduler)
    assert (world.counter.started, world.counter.most) == (["a", "b", "c"], 2)
    for one in askers:
        scheduler.require(one)
        one.observe(MANY[2])
        scheduler.release(one)
    assert (world.counter.started, world.counter.most, world.incidents) == (["a", "b", "c"], 2, [])


def test_asked_once_more_after_it_has_made_room(world, together):
    """What was not planned costs a start, and is no incident."""
    scheduler, (a, *_) = together("abc", **planned())
    scheduler.require(a)
    attend(scheduler)
    assert a.restarts.session is None
    assert a.observe(MANY[30])
    assert (world.counter.started, world.incidents) == (["a", "b", "c", "a"], [])
    assert a.restarts.origin == "snapshot"


@pytest.mark.parametrize(
    ("names", "options"),
    [("ab", planned()), ("abc", planned(complete=False)), ("abc", planned(keep=True)), ("abc", {})],
)
def test_no_guest_ends_early_without_need(world, together, names, options):
    """When none waits for its place, not all is known that it will be asked, or it is to be kept."""
    scheduler, (a, *_) = together(names, **options)
    scheduler.require(a)
    attend(scheduler)
    assert (world.counter.started, world.counter.now) == (["a", "b"], 2)


def test_one_that_was_not_expected(world, together):
    scheduler, _ = together("")
    late = world.asker(world.opener("late"))
    scheduler.require(late)
    assert late.observe(MANY[1])
    scheduler.release(late)


def test_a_kernel_that_cannot_be_had_stops_no_other_target(world, together):
    scheduler, (lost, good) = together("ab", refused="a")
    scheduler.require(lost)
    with pytest.raises(ImageError, match="no such kernel"):
        lost.observe(MANY[1])
    scheduler.release(lost)
    scheduler.require(good)
    assert good.observe(MANY[1])


def test_one_is_asked_while_another_one_is_waited_for(world, together):
    """As far as it was planned; and in the first run, too."""
    scheduler, (a, b) = together("ab", **planned(40))
    scheduler.require(a)
    a.observe(MANY[39])
    attend(scheduler)
    assert b.finished
    assert [seen for seen in world.observations if seen[0] == "b"][-1] == ("b", "x86_64.39", "x86_64")


def test_retreat(world, together):
    """All end, and start again when they are wanted."""
    scheduler, (a, b) = together("ab")
    scheduler.require(a)
    scheduler.end_all()
    assert world.counter.now == 0
    scheduler.require(a)
    assert a.observe(MANY[1])
    assert b.observe(MANY[1])
    assert world.incidents == []


class Slots:
    """As many slots for guests as are left."""

    def __init__(self, left):
        self.left, self.held = left, set()

    def try_take(self, spec):
        if spec.id not in self.held and self.left:
            self.left -= 1
            self.held.add(spec.id)
        return spec.id in self.held

    def release(self, spec):
        self.left += spec.id in self.held
        self.held.discard(spec.id)


@pytest.mark.parametrize(("most", "slots", "together"), [(2, 2, True), (2, 1, False), (1, 2, False)])
def test_a_second_guest(world, most, slots, together):
    """Beside the first if there is a core and a slot for it; else in its place, when all planned is answered."""
    first = world.asker(world.opener("a"), options=planned(20))
    second = world.asker(world.opener("a/confirmation"))
    held = Slots(slots)
    scheduler = Scheduler([first], world.loop, world.told.append, max_running=most, slots=held)
    scheduler.begin()
    scheduler.require(first)
    first.observe(MANY[0])
    scheduler.add_second(first, second)
    assert (first.restarts.session is not None) is together
    assert second.observe(MANY[0])
    asked = world.counter.started.copy()
    first.observe(MANY[19])
    assert world.counter.started == asked == ["a", "a/confirmation"]
    assert world.counter.most == (2 if together else 1)
    for one in (second, first):
        scheduler.release(one)
    assert (held.left, world.counter.now) == (slots, 0)
    scheduler.close()


def test_a_second_guest_of_one_that_is_kept(world):
    """Both run: the first is for the user."""
    first, second = world.asker(world.opener("a")), world.asker(world.opener("b"))
    scheduler = Scheduler([first], world.loop, world.told.append, max_running=1, keep=True)
    scheduler.begin()
    scheduler.require(first)
    scheduler.add_second(first, second)
    assert second.observe(MANY[0])
    assert world.counter.now == 2
    scheduler.close()
    assert world.counter.now == 0


def test_a_second_session_of_a_machine(world):
    """The first one ends: each has the machine for itself."""
    first, second = (world.asker(world.opener(name, origin="running"), where="ssh") for name in "ab")
    scheduler = Scheduler([], world.loop, world.told.append, max_running=2)
    scheduler.require(first)
    first.observe(MANY[0])
    scheduler.attend()
    scheduler.add_second(first, second)
    assert second.observe(MANY[0])
    assert world.counter.most == 1
    scheduler.close()


def test_what_the_thread_says_is_shown_by_this_one(world):
    """While it is waited for."""
    opener = world.opener()
    opener.prepare = lambda progress: progress("fetching a kernel")
    asked = world.asker(opener)
    scheduler = Scheduler([asked], world.loop, world.told.append)
    scheduler.begin()
    scheduler.require(asked)
    until(lambda: scheduler.attend() or world.told)
    assert world.told[0] == "fetching a kernel"
    assert asked.restarts.session is not None
    scheduler.close()


def test_descriptors_are_given_back(world):
    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()  # else what other tests left behind is closed meanwhile
    before = count()
    for _ in range(3):
        asked = world.asker(world.opener())
        scheduler = Scheduler([asked], Loop(), world.told.append)
        scheduler.begin()
        until(lambda: asked.restarts.prepared)  # noqa: B023 - called at once
        scheduler.close()
    # Threads that other tests left running may hold some for a moment.
    until(lambda: count() <= before)


def test_hello_is_taken_in_the_background(world, together):
    scheduler, (a, b) = together("ab")
    scheduler.require(a)
    attend(scheduler)
    assert (a.restarts.hello, b.restarts.hello) == (HELLO, HELLO)
