"""The policy towards machines whose kernel runs already: what is for good is asked once, what is lost once more."""

import msgspec
import pytest

from sysevent import settings, wire
from sysevent.build.programs import Program
from sysevent.engine import guest
from sysevent.errors import DiskFull, GuestLost, HostUnreachable, NoKvm, WrongHost
from sysevent.hosts import kinds, running_kernel
from sysevent.scenario import catalog
from sysevent.scenario.steps import Scenario, Sleep
from sysevent.targets.spec import TargetSpec

DONE = wire.Reply(wire.State.DONE, 0, (wire.Result(wire.Op.SLEEP, 0, 0, 0, b""),))
LOST = GuestLost("lab: the connection broke")


class World:
    def __init__(self, tmp_path):
        self.starts, self.hellos, self.replies = [], [], []
        self.hosts, self.incidents, self.open, self.retried = [], [], 0, []
        self.release, self.traits = "6.12.1", {"node": "board", "machine": "x86_64"}
        self.settings = msgspec.structs.replace(settings.from_environment(), cache=tmp_path, snapshots=True)
        self.logs = tmp_path / "logs"

    def guest(self, **changes):
        spec = TargetSpec(**{"name": "lab", "arch": "x86_64", "where": "ssh"} | changes)
        return guest.Guest(
            spec, self.settings, self.logs, lambda text: None, self.incidents.append, lambda *_: None
        )


def taken(plan, default):
    found = plan.pop(0) if plan else default
    if isinstance(found, Exception):
        raise found
    return found


class Host:
    world = None
    awaited = greeted = False
    room, seconds_to_ready = 16, 1.5

    def __init__(self, spec, vmms, logs, progress, others):
        self.vmms, self.logs, self.sent = vmms, logs, 0
        self.retried, self.traits = list(self.world.retried), self.world.traits
        self.world.hosts.append(self)

    def start(self):
        self.world.open += 1
        taken(self.world.starts, None)

    def hello(self):
        return taken(self.world.hellos, wire.Hello(1, 1, self.world.release, "x86_64", "id"))

    def send(self, body, abi):
        self.sent += 1
        return self.sent

    def reply(self, number, deadline):
        return taken(self.world.replies, DONE)

    def listen(self):
        return False

    def close(self):
        self.world.open -= 1


@pytest.fixture
def world(tmp_path, monkeypatch):
    found = World(tmp_path)
    program = Program(tmp_path / "program", "id")
    monkeypatch.setattr(Host, "world", found)
    monkeypatch.setattr("sysevent.hosts.ssh.host.SshHost", Host)
    monkeypatch.setattr(kinds, "LocalHost", Host)
    monkeypatch.setattr(running_kernel.programs, "vmm", lambda *_: program)
    monkeypatch.setattr(catalog, "scenario", lambda name: Scenario(name, "x86_64", (Sleep(1),)))
    return found


def reasons(world):
    return [(incident.reason, incident.retried) for incident in world.incidents]


@pytest.mark.parametrize("where", ["local", "ssh", "labgrid"])
def test_asked(world, where):
    """A VMM for each ABI goes there, the native one first; no kernel is fetched, no snapshot taken."""
    asked = world.guest(where=where)
    assert asked.observe("x86_64.a", "native")
    assert [number for number, _ in world.hosts[0].vmms] == [1, 2]
    assert (asked.kernel, asked.life.origin, asked.seconds_to_boot) == (None, "running", 1.5)
    assert world.incidents == []
    asked.close()
    assert world.open == 0


@pytest.mark.parametrize(
    "error", [HostUnreachable("off"), NoKvm("none"), WrongHost("other"), DiskFull("full")]
)
@pytest.mark.parametrize("stage", ["starts", "hellos"])
def test_what_is_for_good(world, error, stage):
    """Is not tried again for every scenario, and each of them has the reason."""
    setattr(world, stage, [error] * 100)
    asked = world.guest()
    for name in "abc":
        with pytest.raises(type(error), match=str(error)):
            asked.observe(f"x86_64.{name}", "native")
    assert len(world.hosts) == 1
    assert world.open == 0
    assert reasons(world) == ([(str(error), False)] if stage == "hellos" else [])


def test_lost_in_the_middle(world):
    """What was obtained is kept; the one in which it was lost is asked once more through another connection."""
    asked = world.guest()
    first = asked.observe("x86_64.a", "native")
    world.replies = [LOST]
    assert asked.observe("x86_64.b", "native")
    assert asked.observe("x86_64.a", "native") is first
    assert len(world.hosts) == 2
    assert reasons(world) == [("lab: the connection broke", True)]
    assert world.incidents[0].log == str(world.logs / "ssh.log")


def test_lost_and_not_to_be_reached_again(world):
    """The rest is missed at once."""
    asked = world.guest()
    first = asked.observe("x86_64.a", "native")
    world.replies = [LOST]
    world.hellos = [HostUnreachable("lab: off")] * 100
    for name in "bcd":
        with pytest.raises(HostUnreachable, match="lab: off"):
            asked.observe(f"x86_64.{name}", "native")
    assert asked.observe("x86_64.a", "native") is first
    assert len(world.hosts) == 2
    assert reasons(world) == [("lab: the connection broke", True), ("lab: off", False)]


@pytest.mark.parametrize("other", [{"release": "6.13.0"}, {"traits": {"node": "b", "machine": "x86_64"}}])
def test_lost_and_back_as_another_machine(world, other):
    """Its answers are not those of the kernel that is asked: MISS from then on, also when the first one is back."""
    asked = world.guest()
    first = asked.observe("x86_64.a", "native")
    world.replies = [LOST]
    was = {name: getattr(world, name) for name in other}
    for name, value in other.items():
        setattr(world, name, value)
    for name in "bc":
        with pytest.raises(WrongHost, match="it was lost, and came back with another"):
            asked.observe(f"x86_64.{name}", "native")
    for name, value in was.items():
        setattr(world, name, value)
    with pytest.raises(WrongHost):
        asked.observe("x86_64.d", "native")
    assert asked.observe("x86_64.a", "native") is first
    assert world.open == 0


def test_retries_on_the_way_are_incidents(world):
    world.retried = ["lab: no answer; trying again"]
    world.guest().observe("x86_64.a", "native")
    assert reasons(world) == [("lab: no answer; trying again", True)]


@pytest.mark.parametrize("where", ["tcg", "ssh"])
@pytest.mark.parametrize(
    ("expect", "fits"),
    [({"kernel": "6.12.*"}, True), ({"kernel": "6.1.*"}, False), ({"machine": "x86*"}, True)],
)
def test_the_kernel_that_is_expected(world, monkeypatch, where, expect, fits):
    """Is known for certain when the VMM has said hello; for guests, too."""
    if where == "tcg":
        opener = running_kernel.RunningKernelOpener
        monkeypatch.setattr(kinds, "QemuOpener", lambda spec, *_: opener(spec, None, "log", Host))
    asked = world.guest(where=where, expect=expect)
    if fits:
        assert asked.observe("x86_64.a", "native")
        return
    with pytest.raises(WrongHost, match=r"this machine has '6\.12\.1'"):
        asked.observe("x86_64.a", "native")
    assert world.hosts[0].sent == 0
    assert world.open == 0


def test_attend_never_raises(world):
    """A refusal while another host is waited for is told when this one is asked."""
    asked = world.guest()
    asked.life.start()
    world.hosts[0].greeted = True
    world.hellos = [WrongHost("another one")] * 5
    asked.attend()
    with pytest.raises(WrongHost, match="another one"):
        asked.observe("x86_64.a", "native")


def test_what_can_be_tried():
    machine = TargetSpec(name="lab", arch="x86_64", where="ssh")
    assert kinds.obstacle(machine) == ""
    assert "not about --kernel debian:6.12" in kinds.obstacle(machine, ["debian:6.12"])
