"""The guest of a target is begun once for all tests, and ended when no test returns to it."""

from types import SimpleNamespace

import pytest

from sysevent.errors import GuestLost, LeaseLost, NotApplicable, NotLeased, WrongArchitecture
from sysevent.plugin import guests, order
from sysevent.plugin.case import HeadersOf
from sysevent.plugin.run import RUN
from sysevent.targets.spec import TargetSpec

SPECS = {name: TargetSpec(name=name, arch="arm64", where="tcg") for name in "ab"}
HEADERS = HeadersOf("debian:6.12", None, "headers")


class Guest(guests.Asker):
    """Whose facts are known, or fail."""

    def __init__(self, spec, error=None):
        self.spec, self._error = spec, error

    def facts(self):
        if self._error:
            raise self._error
        return "facts"


class World:
    """A run and its session; what happens to the guests is in `said`."""

    def __init__(self, *, taken=None, facts=None, lost=None):
        self.said, self.stash = [], pytest.Stash()
        self.config = SimpleNamespace(stash=self.stash, getoption=lambda _: [])
        self._taken, self._facts, self._lost = taken, facts, lost
        self.stash[RUN] = self

    def guest(self, spec):
        self.said.append(f"take {spec.id}")
        if self._taken:
            raise self._taken
        return Guest(spec, self._facts)

    def check(self, spec):
        if self._lost:
            raise self._lost

    def record_target(self, guest, facts):
        self.said.append(f"record {guest.spec.id}")

    def done(self, guest):
        self.said.append(f"end {guest.spec.id}")

    def asked(self, name):
        return guests.asked(self, SPECS[name])

    def begins(self, place):
        """A test begins: of a target, of headers, or of nothing."""
        target = {"headers": HEADERS, "": None}.get(place, SPECS.get(place))
        params = {"target": target} if target else {}
        guests.pytest_runtest_setup(
            SimpleNamespace(config=self.config, callspec=SimpleNamespace(params=params))
        )

    def finishes(self):
        guests.pytest_sessionfinish(SimpleNamespace(config=self.config))


@pytest.fixture(autouse=True)
def possible(monkeypatch):
    """Each target can be had here."""
    monkeypatch.setattr(guests, "obstacle", lambda spec, kernel: "")


def test_it_is_begun_once():
    world = World()
    assert world.asked("a") is world.asked("a")
    assert world.said == ["take a", "record a"]


def test_a_target_that_cannot_be_had(monkeypatch):
    monkeypatch.setattr(guests, "obstacle", lambda spec, kernel: "no QEMU")
    world = World()
    with pytest.raises(NotApplicable, match="no QEMU"):
        world.asked("a")
    assert world.said == []


@pytest.mark.parametrize(
    ("wrong", "raised"),
    [
        ({"facts": GuestLost("a: gone")}, GuestLost),
        ({"facts": WrongArchitecture("for riscv64")}, NotApplicable),
        ({"lost": LeaseLost("a: taken away")}, LeaseLost),
        ({"facts": KeyboardInterrupt()}, KeyboardInterrupt),
    ],
)
def test_a_guest_that_fails_is_ended(wrong, raised):
    """Another one waits for its slot."""
    world = World(**wrong)
    with pytest.raises(raised):
        world.asked("a")
    assert world.said == ["take a", "end a"]


def test_a_lease_is_waited_for_once():
    world = World(taken=NotLeased("others hold it"))
    for _ in range(3):
        with pytest.raises(NotLeased):
            world.asked("a")
    assert world.said == ["take a"]
    world.begins("b")
    world.finishes()
    assert world.said == ["take a"]


@pytest.mark.parametrize(
    ("places", "ended"),
    [
        (["a", ""], []),
        (["a", "b"], ["end a"]),
        (["headers"], ["end a"]),
    ],
)
def test_it_ends_before_a_test_of_another_target(places, ended):
    """Not before one of no target: a worker of pytest-xdist may have such a test between two of a target."""
    world = World()
    world.asked("a")
    for place in places:
        world.begins(place)
    assert world.said[2:] == ended


def test_it_stays_as_long_as_a_fixture_has_it():
    world = World()
    world.asked("a")
    with guests.held(world, SPECS["a"]):
        world.begins("b")
    assert world.said[2:] == []
    world.begins("b")
    assert world.said[2:] == ["end a"]


def test_it_stays_for_a_later_test():
    world = World()
    world.asked("a")
    items = [
        SimpleNamespace(callspec=SimpleNamespace(params={"target": SPECS[name]})) for name in ("a", "b", "a")
    ]
    world.stash[order.ORDER] = order.Order(items, lambda _: True, lambda *_: None)
    world.begins("b")
    assert world.said[2:] == []


def test_all_end_with_the_session():
    world = World()
    world.asked("a")
    world.asked("b")
    world.finishes()
    assert world.said[4:] == ["end a", "end b"]
    # A session that asked nothing.
    World().finishes()
