"""Guests side by side, sent ahead, and restored; on hosts that are no machines."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from sysevent import settings, wire
from sysevent.build.programs import Payload, Program
from sysevent.engine import fleet, guest
from sysevent.engine.fleet import Fleet
from sysevent.errors import GuestLost, ImageError
from sysevent.hosts.base import AHEAD
from sysevent.hosts.qemu import opener
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.hosts.qemu.snapshots import Snapshot, SnapshotNote
from sysevent.model import KernelImage
from sysevent.scenario import catalog
from sysevent.scenario.steps import Scenario, Sleep
from sysevent.targets.spec import TargetSpec

DONE = wire.Reply(wire.State.DONE, 0, (wire.Result(wire.Op.SLEEP, 0, 0, 0, b""),))
HELLO = wire.Hello(1, 1, "6.12.1", "x86_64", "id")
LOST = GuestLost("lost: panic")


class World:
    def __init__(self, tmp_path):
        self.path = tmp_path
        self.settings = msgspec.structs.replace(settings.from_environment(), cache=tmp_path, snapshots=True)
        self.hosts, self.incidents, self.open, self.most = [], [], 0, 0
        self.given_up, self.proves = [], False
        self.kept, self.discarded, self.unbootable, self.dead = {}, [], set(), set()

    def guest(self, name="a", **changes):
        spec = TargetSpec(name=name, arch="x86_64", where="tcg", **changes)
        return guest.Guest(
            spec, self.settings, self.path, lambda _: None, self.incidents.append, lambda *_: None
        )

    def names(self):
        return [host.boot.spec.name for host in self.hosts]

    # As hosts/qemu/snapshots.py.
    def find(self, key):
        return (
            Snapshot(self.path / "state", SnapshotNote(key, 1, 0, 1, HELLO, False))
            if key in self.kept
            else None
        )

    def take(self, key, monitor, memory, hello, *, on_console):
        if len(self.given_up) == 2:
            return False
        self.kept[key] = hello
        return self.proves

    def discard(self, key):
        self.kept.pop(key, None)
        self.discarded.append(key)

    def give_up(self, key):
        self.kept.pop(key, None)
        self.given_up.append(key)


class Host:
    world = None
    awaited = on_console = False
    room, retried, traits = AHEAD, (), {}
    greeted, seconds_to_ready, monitor = True, 0.3, None

    def __init__(self, boot, logs, progress, others=None, snapshot=None, *, saved=False):
        self.boot, self.snapshot, self.sent, self.log = boot, snapshot, [], logs / "console.log"
        self.memory = 9 if saved else 0
        self.world.hosts.append(self)

    def start(self):
        self.world.open += 1
        self.world.most = max(self.world.most, self.world.open)

    def hello(self):
        if (self.boot.spec.name, bool(self.snapshot)) in self.world.unbootable:
            raise LOST
        return HELLO

    def send(self, body, abi):
        self.sent.append(body)
        return len(self.sent)

    def answered(self, number):
        return (self.boot.spec.name, number) not in self.world.dead

    def reply(self, number, deadline):
        if not self.answered(number):
            raise LOST
        return DONE

    def listen(self):
        return False

    def sources(self):
        return []

    def close(self):
        self.world.open -= 1


@pytest.fixture
def world(tmp_path, monkeypatch):
    found = World(tmp_path)
    program = Program(tmp_path / "program", "id")
    program.path.write_bytes(b"")

    def find(spec, arch, *_):
        if spec == "none":
            raise ImageError("no such kernel")
        return KernelImage(spec, arch.name, "6.12.1", "", tmp_path / "bzImage", None)

    monkeypatch.setattr(Host, "world", found)
    monkeypatch.setattr(opener, "QemuGuest", Host)
    monkeypatch.setattr(opener, "Snapshots", lambda _: found)
    monkeypatch.setattr(
        opener,
        "prepare",
        lambda spec, kernel, *_: Bundle(spec, kernel, SimpleNamespace(accel="tcg"), f"key of {spec.name}"),
    )
    monkeypatch.setattr(opener.resolve, "find", find)
    for name in ("init", "vmm"):
        monkeypatch.setattr(opener.programs, name, lambda *_: program)
    monkeypatch.setattr(fleet.programs, "payload", lambda arch, name, _: Payload(name, (), 0, {}))
    scenarios = {f"x86_64.{n}": Scenario(f"x86_64.{n}", "x86_64", (Sleep(n),)) for n in range(40)}
    monkeypatch.setattr(catalog, "SCENARIOS", scenarios)
    monkeypatch.setattr(catalog, "scenario", scenarios.__getitem__)
    return found


@pytest.fixture
def together(world):
    made = []

    def make(*guests, most=2):
        found = Fleet(guests, world.settings, lambda _: None, most)
        found.begin()
        found._thread.join(10)
        made.append(found)
        return found

    yield make
    for one in made:
        one.close()
    assert world.open == 0


def test_no_more_than_cores(world, together):
    a, b, c = guests = [world.guest(name) for name in "abc"]
    ships = together(*guests)
    ships.wanted(a)
    assert world.names() == ["a", "b"]
    ships.done(a)
    ships.wanted(b)
    assert world.names() == ["a", "b", "c"]
    ships.done(b)
    ships.wanted(c)
    assert (world.names(), world.most) == (["a", "b", "c"], 2)


def test_one_core(world, together):
    guests = [world.guest(name) for name in "ab"]
    ships = together(*guests, most=1)
    for one in guests:
        ships.wanted(one)
        one.observe("x86_64.1", "native")
        ships.done(one)
    assert (world.names(), world.most) == (["a", "b"], 1)


def test_another_order_than_foreseen(world, together):
    """One that was started too early makes place, and comes back when it is wanted."""
    a, b, c = guests = [world.guest(name) for name in "abc"]
    ships = together(*guests)
    ships.wanted(a)
    ships.wanted(c)
    assert (world.names(), world.open) == (["a", "b", "c"], 2)
    ships.done(a)
    ships.wanted(b)
    assert b.observe("x86_64.1", "native")
    assert world.most == 2


def asked_beforehand(world, names, foreseen=True):
    guests = [world.guest(name) for name in names]
    for one in guests:
        one.plan((f"x86_64.{n}", "native") for n in range(3))
        one.foreseen = foreseen
    return guests


def test_who_has_answered_everything_makes_place(world, together):
    a, b, c = guests = asked_beforehand(world, "abc")
    ships = together(*guests)
    ships.wanted(a)
    for _ in range(5):
        ships.attend()
    assert (world.names(), world.most) == (["a", "b", "c"], 2)
    for one in (a, b, c):
        ships.wanted(one)
        one.observe("x86_64.2", "native")
        ships.done(one)
    assert (world.names(), world.most, world.incidents) == (["a", "b", "c"], 2, [])


def test_asked_once_more_after_it_has_made_place(world, together):
    """What nobody foresaw costs a start, and is no incident."""
    guests = asked_beforehand(world, "abc")
    a, ships = guests[0], together(*guests)
    ships.wanted(a)
    for _ in range(5):
        ships.attend()
    assert a.life.host is None
    assert a.observe("x86_64.30", "native")
    assert (world.names(), world.incidents, a.life.origin) == (["a", "b", "c", "a"], [], "snapshot")


@pytest.mark.parametrize(("names", "foreseen"), [("ab", True), ("abc", False)])
def test_nobody_ends_early_without_need(world, together, names, foreseen):
    """When nobody waits for its place, or nobody knows what it will be asked."""
    guests = asked_beforehand(world, names, foreseen)
    ships = together(*guests)
    ships.wanted(guests[0])
    for _ in range(5):
        ships.attend()
    assert (world.names(), world.open) == (["a", "b"], 2)


def test_one_that_nobody_foresaw(world, together):
    ships = together()
    late = world.guest("late")
    ships.wanted(late)
    assert late.observe("x86_64.1", "native")
    ships.done(late)


def test_a_kernel_that_cannot_be_had_stops_nobody_else(world, together):
    lost, good = world.guest("lost", kernel="none"), world.guest("good")
    ships = together(lost, good)
    ships.wanted(lost)
    with pytest.raises(ImageError, match="no such kernel"):
        lost.observe("x86_64.1", "native")
    ships.done(lost)
    ships.wanted(good)
    assert good.observe("x86_64.1", "native")


def test_planned_scenarios_are_asked_while_another_guest_is(world, together):
    a, b = guests = [world.guest(name) for name in "ab"]
    b.plan((f"x86_64.{n}", "native") for n in range(40))
    ships = together(*guests)
    ships.wanted(a)
    for _ in range(5):
        ships.attend()
    assert len(world.hosts[1].sent) == 40
    b.observe("x86_64.39", "native")
    assert len(world.hosts[1].sent) == 40


def test_no_more_on_their_way_than_fit(world, together):
    one = world.guest("a")
    world.dead = {("a", n) for n in range(1, 41)}
    one.plan((f"x86_64.{n}", "native") for n in range(40))
    together(one).wanted(one)
    assert len(world.hosts[0].sent) == AHEAD


def test_lost_with_several_on_their_way(world, together):
    """What was answered stays; the rest is asked of the next guest, one by one."""
    one = world.guest("a")
    one.plan((f"x86_64.{n}", "native") for n in range(6))
    world.dead = {("a", n) for n in range(3, 7)}
    together(one).wanted(one)
    world.dead = {("a", 3)}
    one.observe("x86_64.1", "native")
    assert world.incidents == []
    world.dead |= {("a", 1)}  # lost with it on its way, and lost when it was asked alone
    with pytest.raises(GuestLost):
        one.observe("x86_64.2", "native")
    assert len(world.incidents) == 3
    world.dead = set()
    assert one.observe("x86_64.5", "native")


def test_restored_when_there_is_a_snapshot(world):
    first, second = world.guest(), world.guest()
    first.observe("x86_64.1", "native")
    second.observe("x86_64.1", "native")
    assert (first.life.origin, second.life.origin) == ("boot", "snapshot")
    assert [bool(host.snapshot) for host in world.hosts] == [False, True]


def test_a_snapshot_is_tried_when_it_is_taken(world):
    world.proves = True
    one = world.guest()
    assert one.observe("x86_64.1", "native")
    assert [bool(host.snapshot) for host in world.hosts] == [False, True]
    assert world.kept
    assert world.open == 1


def test_a_snapshot_that_does_not_come_back_is_taken_twice(world):
    """The run at hand goes on with the guest that booted, and no later run finds one that hangs."""
    world.proves, world.unbootable = True, {("a", True)}
    one = world.guest()
    assert one.observe("x86_64.1", "native")
    assert [bool(host.snapshot) for host in world.hosts] == [False, True, True]
    assert (world.kept, world.incidents, world.open, one.life.origin) == ({}, [], 1, "boot")


def test_a_snapshot_that_cannot_be_restored_is_an_incident_and_a_boot(world):
    world.kept["key of a"] = HELLO
    world.unbootable = {("a", True)}
    one = world.guest()
    assert one.observe("x86_64.1", "native")
    assert one.life.origin == "boot"
    (incident,) = world.incidents
    assert "a snapshot could not be restored, so the guest boots. lost: panic" in incident.reason
    assert incident.retried
    assert world.given_up == ["key of a"]


def test_lost_after_it_was_restored(world):
    """The scenario is asked once more, of a guest that booted: the snapshot may have had a part in it."""
    world.kept["key of a"] = HELLO
    world.dead = {("a", 1)}
    one = world.guest()
    with pytest.raises(GuestLost):
        one.observe("x86_64.1", "native")
    assert [bool(host.snapshot) for host in world.hosts] == [True, False]
    assert world.discarded == ["key of a"]


def test_neither_restored_nor_booted(world):
    world.kept["key of a"] = HELLO
    world.unbootable = {("a", True), ("a", False)}
    with pytest.raises(GuestLost):
        world.guest().observe("x86_64.1", "native")
    assert [bool(host.snapshot) for host in world.hosts] == [True, False, False]
    assert [incident.retried for incident in world.incidents] == [True, True, False]


@pytest.mark.parametrize("error", [OSError("no space left on device"), GuestLost("QEMU refused migrate")])
def test_no_snapshot_is_no_incident(world, monkeypatch, error):
    def full(*_, **__):
        raise error

    monkeypatch.setattr(world, "take", full)
    assert world.guest().observe("x86_64.1", "native")
    assert world.incidents == []


def test_stream_remembers_nothing_and_keeps_the_order(world):
    one = world.guest()
    many = [catalog.scenario(f"x86_64.{n}") for n in range(40)]
    assert [seen.scenario for seen in one.stream(many, "native")] == [s.name for s in many]
    assert one._observed == {}


def test_descriptors_are_given_back(world):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        ships = Fleet([world.guest()], world.settings, lambda _: None)
        ships.begin()
        ships._thread.join(10)
        ships.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
