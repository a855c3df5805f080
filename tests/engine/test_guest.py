"""The policy towards a guest that gets lost, on a host that is no machine."""

from types import SimpleNamespace

import msgspec
import pytest

from sysevent import settings, wire
from sysevent.build.programs import Payload, Program
from sysevent.engine import guest
from sysevent.errors import BadWire, GuestLost, HarnessError, ImageError, NotApplicable, UsageError
from sysevent.hosts.qemu import opener
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.model import KernelImage
from sysevent.scenario import catalog
from sysevent.scenario.steps import Scenario, Sleep
from sysevent.targets.spec import TargetSpec

DONE = wire.Reply(wire.State.DONE, 0, (wire.Result(wire.Op.SLEEP, 0, 0, 0, b""),))
LOST = GuestLost("lost: panic")


class World:
    """What the hosts do: a list of what comes of each boot, and of each request."""

    def __init__(self, tmp_path):
        self.boots, self.replies = [], []
        self.started, self.asked, self.incidents, self.observations, self.open = 0, [], [], [], 0
        self.settings = msgspec.structs.replace(settings.from_environment(), cache=tmp_path, snapshots=False)
        self.logs = tmp_path / "logs"

    def guest(self):
        spec = TargetSpec(name="x", arch="x86_64", where="tcg")
        told = lambda target, seen: self.observations.append((target, seen.scenario, seen.abi))  # noqa: E731
        return guest.Guest(spec, self.settings, self.logs, lambda text: None, self.incidents.append, told)


def taken(plan, default):
    found = plan.pop(0) if plan else default
    if isinstance(found, Exception):
        raise found
    return found


class Host:
    """As hosts/base.py says."""

    world = None
    awaited = greeted = False
    room, retried, traits = 16, (), {}
    seconds_to_ready = 1.5

    def __init__(self, boot, logs, *_, saved=False):
        self.logs = logs

    def start(self):
        self.world.started += 1
        self.world.open += 1

    def hello(self):
        return taken(self.world.boots, wire.Hello(1, 1, "6.12.1", "x86_64", "id"))

    def send(self, body, abi):
        self.world.asked.append(abi)
        return len(self.world.asked)

    def reply(self, number, deadline):
        return taken(self.world.replies, DONE)

    def listen(self):
        pass

    def close(self):
        self.world.open -= 1


@pytest.fixture
def world(tmp_path, monkeypatch):
    found = World(tmp_path)
    image = KernelImage("debian:6.12", "x86_64", "6.12.1", "", tmp_path / "bzImage", None)
    program = Program(tmp_path / "program", "id")
    program.path.write_bytes(b"")
    monkeypatch.setattr(Host, "world", found)
    monkeypatch.setattr(opener, "QemuGuest", Host)
    machine = SimpleNamespace(accel="tcg")
    monkeypatch.setattr(opener, "prepare", lambda spec, kernel, *_: Bundle(spec, kernel, machine, "key"))
    monkeypatch.setattr(opener.resolve, "find", lambda *_: image)
    for name in ("init", "vmm"):
        monkeypatch.setattr(opener.programs, name, lambda *_: program)
    monkeypatch.setattr(guest.programs, "payload", lambda arch, name, _: Payload(name, (), 0, {}))
    monkeypatch.setattr(catalog, "scenario", lambda name: Scenario(name, name.partition(".")[0], (Sleep(1),)))
    return found


def reasons(world):
    return [(incident.reason, incident.retried) for incident in world.incidents]


def test_each_is_asked_once(world):
    """One boot, one request, one observation, however often it is wanted; another ABI is another question."""
    asked = world.guest()
    first = asked.observe("x86_64.a", "native")
    assert asked.observe("x86_64.a", "x86_64") is first
    asked.observe("x86_64.a", "i386")
    asked.observe("x86_64.b", "native")
    assert (world.started, world.asked) == (1, [1, 2, 1])
    assert world.observations == [
        ("x", "x86_64.a", "x86_64"),
        ("x", "x86_64.a", "i386"),
        ("x", "x86_64.b", "x86_64"),
    ]
    assert set(asked.seconds) == {("x86_64.a", "x86_64"), ("x86_64.a", "i386"), ("x86_64.b", "x86_64")}
    assert world.incidents == []
    assert asked.seconds_to_boot == 1.5


def test_lost_once_is_asked_again(world):
    """After another boot, and with an incident that names the first boot's log."""
    world.replies = [LOST]
    assert world.guest().observe("x86_64.a", "native").scenario == "x86_64.a"
    assert world.started == 2
    assert reasons(world) == [("lost: panic", True)]
    assert world.incidents[0].target == "x"
    assert world.incidents[0].log == str(world.logs / "console.log")
    assert world.open == 1


def test_lost_twice_is_lost(world):
    """And is not asked a third time: the error is remembered. Others are still asked."""
    asked = world.guest()
    world.replies = [LOST, GuestLost("lost: silent")]
    with pytest.raises(GuestLost, match="lost: silent"):
        asked.observe("x86_64.a", "native")
    assert reasons(world) == [("lost: panic", True), ("lost: silent", False)]
    assert world.incidents[1].log == str(world.logs / "boot-2" / "console.log")
    with pytest.raises(GuestLost, match="lost: silent"):
        asked.observe("x86_64.a", "native")
    assert len(world.asked) == 2
    assert asked.observe("x86_64.b", "native").scenario == "x86_64.b"
    assert world.started == 3
    assert world.observations == [("x", "x86_64.b", "x86_64")]


def test_a_guest_that_never_boots(world):
    """Is booted once more, and each boot is one incident."""
    world.boots = [LOST] * 100
    with pytest.raises(GuestLost, match="lost: panic"):
        world.guest().observe("x86_64.a", "native")
    assert world.started == 2
    assert reasons(world) == [("lost: panic", True), ("lost: panic", False)]
    assert world.open == 0


def test_boots_are_not_without_end(world):
    """Four, whatever is asked; then everything is lost at once, without another QEMU."""
    world.replies = [LOST] * 100
    asked = world.guest()
    for name in "abcdef":
        with pytest.raises(GuestLost):
            asked.observe(f"x86_64.{name}", "native")
    assert world.started == 4
    assert len(world.asked) == 4
    assert world.open == 0
    with pytest.raises(GuestLost, match="x: lost 4 times, given up"):
        asked.observe("x86_64.z", "native")


def test_one_boot_in_a_debugger(world):
    """Whoever ends the guest there is not shown another one, stopped at its start."""
    world.settings = msgspec.structs.replace(world.settings, debug=True)
    world.boots = [LOST] * 100
    asked = world.guest()
    with pytest.raises(GuestLost, match="lost: panic"):
        asked.observe("x86_64.a", "native")
    with pytest.raises(GuestLost, match="x: lost once, given up"):
        asked.observe("x86_64.b", "native")
    assert world.started == 1
    assert reasons(world)[0] == ("lost: panic", False)


def test_a_hello_that_is_nonsense_is_a_boot_that_failed(world):
    """Nothing is asked of a host that has not said hello."""
    world.boots = [BadWire("another version")]
    assert world.guest().observe("x86_64.a", "native").scenario == "x86_64.a"
    assert (world.started, reasons(world)) == (2, [("another version", True)])


def test_a_reply_that_is_nonsense(world):
    """Is told and remembered; the guest that gave it is asked on."""
    asked = world.guest()
    world.replies = [BadWire("nonsense")]
    for _ in range(2):
        with pytest.raises(BadWire, match="nonsense"):
            asked.observe("x86_64.a", "native")
    asked.observe("x86_64.b", "native")
    assert world.started == 1


def test_an_image_that_cannot_be_had(world, monkeypatch):
    """No incident and no boot: nothing was lost."""

    def find(*_):
        raise ImageError("no mirror")

    monkeypatch.setattr(opener.resolve, "find", find)
    asked = world.guest()
    for name in ("x86_64.a", "x86_64.b"):
        with pytest.raises(ImageError, match="no mirror"):
            asked.observe(name, "native")
    assert (world.started, world.incidents) == (0, [])


def test_a_scenario_of_another_architecture(world):
    with pytest.raises(NotApplicable, match=r"arm64.a is for arm64; x is x86_64"):
        world.guest().observe("arm64.a", "native")
    assert world.started == 0


def test_no_such_abi(world):
    with pytest.raises(UsageError, match="--abi armhf: x runs VMMs of x86_64, i386"):
        world.guest().observe("x86_64.a", "armhf")


def test_a_vmm_that_died(world):
    """Is our error, and the guest lives."""
    asked = world.guest()
    world.replies = [wire.Reply(wire.State.DIED, 11, ())]
    with pytest.raises(HarnessError, match="died of signal 11"):
        asked.observe("x86_64.a", "native")
    asked.observe("x86_64.b", "native")
    assert (world.started, world.incidents) == (1, [])


def test_close(world):
    """Twice, and before anything ran."""
    asked = world.guest()
    asked.close()
    asked.observe("x86_64.a", "native")
    asked.close()
    asked.close()
    assert world.open == 0
