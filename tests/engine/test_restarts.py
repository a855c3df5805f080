"""How a target's host is opened: what is refused for good, what is tried again, snapshots, and another machine."""

import errno

import msgspec
import pytest
from fakes import HELLO, LOST, scenario

from sysevent.errors import DiskFull, GuestLost, HostUnreachable, InfrastructureError, NoKvm, WrongHost
from sysevent.hosts.openers import obstacle
from sysevent.targets.spec import TargetSpec


@pytest.fixture
def lab(world):
    """A machine whose kernel runs already, and its asker."""
    opener = world.opener("lab", origin="running")
    opener.traits = {"node": "board", "machine": "x86_64"}
    return opener


def ask(world, opener, **row):
    return world.asker(opener, **{"where": "ssh"} | row)


@pytest.fixture
def saved(world):
    """A target with a snapshot."""
    world.settings = msgspec.structs.replace(world.settings, snapshots=True)
    opener = world.opener("a")
    opener.snapshot = True
    return opener


def restored(opener):
    return [host.restored for host in opener.hosts]


def test_a_running_machine(world, lab):
    asked = ask(world, lab)
    assert asked.observe(scenario("x86_64.a"))
    assert (asked.kernel, asked.restarts.origin, asked.restarts.seconds_to_boot) == (None, "running", 1.5)
    assert world.incidents == []
    asked.close()
    assert world.counter.now == 0


@pytest.mark.parametrize(
    "error", [HostUnreachable("off"), NoKvm("none"), WrongHost("other"), DiskFull("full")]
)
@pytest.mark.parametrize("stage", ["starts", "hellos"])
def test_what_is_for_good(world, lab, error, stage):
    """Is not tried again for every scenario, and each of them has the reason."""
    setattr(lab, stage, [error] * 100)
    asked = ask(world, lab)
    for name in "abc":
        with pytest.raises(type(error), match=str(error)):
            asked.observe(scenario(f"x86_64.{name}"))
    assert len(lab.hosts) == 1
    assert world.counter.now == 0
    assert world.reasons == ([(str(error), False)] if stage == "hellos" else [])


def test_lost_in_the_middle(world, lab):
    """What was obtained is kept; what it was lost in is asked once more through another connection."""
    asked = ask(world, lab)
    first = asked.observe(scenario("x86_64.a"))
    lab.replies = [GuestLost("lab: the connection broke")]
    assert asked.observe(scenario("x86_64.b"))
    assert asked.observe(scenario("x86_64.a")) is first
    assert len(lab.hosts) == 2
    assert world.reasons == [("lab: the connection broke", True)]
    assert world.incidents[0].log == str(world.logs / "console.log")


def test_lost_and_not_to_be_reached_again(world, lab):
    """The rest is missed at once."""
    asked = ask(world, lab)
    first = asked.observe(scenario("x86_64.a"))
    lab.replies, lab.hellos = [LOST], [HostUnreachable("lab: off")] * 100
    for name in "bcd":
        with pytest.raises(HostUnreachable, match="lab: off"):
            asked.observe(scenario(f"x86_64.{name}"))
    assert asked.observe(scenario("x86_64.a")) is first
    assert len(lab.hosts) == 2
    assert world.reasons == [("lost: panic", True), ("lab: off", False)]


OTHERS = [
    {"default_hello": msgspec.structs.replace(HELLO, release="6.13.0")},
    {"traits": {"node": "b", "machine": "x86_64"}},
]


@pytest.mark.parametrize("other", OTHERS)
def test_lost_and_back_as_another_machine(world, lab, other):
    """Its answers are not those of the kernel that is asked: MISS from then on, also when the first one is back."""
    asked = ask(world, lab)
    first = asked.observe(scenario("x86_64.a"))
    lab.replies = [LOST]
    before = {name: getattr(lab, name) for name in other}
    for name, value in other.items():
        setattr(lab, name, value)
    for name in "bc":
        with pytest.raises(WrongHost, match=r"changed from .* after the connection was lost; boot "):
            asked.observe(scenario(f"x86_64.{name}"))
    for name, value in before.items():
        setattr(lab, name, value)
    with pytest.raises(WrongHost):
        asked.observe(scenario("x86_64.d"))
    assert asked.observe(scenario("x86_64.a")) is first
    assert world.counter.now == 0


def test_retries_on_the_way_are_incidents(world, lab):
    lab.retried = ["lab: no answer; trying again"]
    ask(world, lab).observe(scenario("x86_64.a"))
    assert world.reasons == [("lab: no answer; trying again", True)]


def test_retries_before_a_refusal_come_first(world, lab):
    lab.retried = ["lab: no answer; trying again"]
    lab.hellos = [HostUnreachable("lab: off")]
    with pytest.raises(HostUnreachable):
        ask(world, lab).observe(scenario("x86_64.a"))
    assert world.reasons == [("lab: no answer; trying again", True), ("lab: off", False)]


@pytest.mark.parametrize("where", ["tcg", "ssh"])
@pytest.mark.parametrize(
    ("expect", "fits"),
    [({"kernel": "6.12.*"}, True), ({"kernel": "6.1.*"}, False), ({"machine": "x86*"}, True)],
)
def test_the_kernel_that_is_expected(world, lab, where, expect, fits):
    """Is known for certain when the VMM has said hello; for guests, too."""
    asked = ask(world, lab, where=where, expect=expect)
    if fits:
        assert asked.observe(scenario("x86_64.a"))
        return
    with pytest.raises(WrongHost, match=r"this machine has '6\.12\.1'"):
        asked.observe(scenario("x86_64.a"))
    assert lab.hosts[0].sent == []
    assert world.counter.now == 0


def test_attend_never_raises(world, lab):
    """A refusal while another host is waited for is raised when this one is asked."""
    asked = ask(world, lab, expect={"node": "another*"})
    asked.restarts.start()
    asked.attend()
    assert world.counter.now == 0
    with pytest.raises(WrongHost, match="this machine has 'board'"):
        asked.observe(scenario("x86_64.a"))
    assert len(lab.hosts) == 1


def test_what_can_be_tried():
    machine = TargetSpec(name="lab", arch="x86_64", where="ssh")
    assert obstacle(machine) == ""
    assert "not about --kernel debian:6.12" in obstacle(machine, ["debian:6.12"])


def test_restored_when_there_is_a_snapshot(world, saved):
    saved.snapshot, saved.takes_snapshots = False, True
    first, second = world.asker(saved), world.asker(saved)
    first.observe(scenario("x86_64.1"))
    second.observe(scenario("x86_64.1"))
    assert (first.restarts.origin, second.restarts.origin) == ("boot", "snapshot")
    assert restored(saved) == [False, True]
    assert saved.hellos_received == [HELLO, HELLO]
    assert "a: Linux 6.12.1 answers after 1.5 s from a snapshot" in world.told


def test_a_snapshot_that_cannot_be_restored_is_an_incident_and_a_boot(world, saved):
    saved.restorable_at_all = False
    asked = world.asker(saved)
    assert asked.observe(scenario("x86_64.1"))
    assert asked.restarts.origin == "boot"
    ((reason, retried),) = world.reasons
    assert reason == "a: a snapshot could not be restored, so it boots. lost: panic"
    assert retried
    assert saved.forgotten == [None]


def test_a_snapshot_that_cannot_be_opened(world, saved):
    """It went away meanwhile: one try of three."""
    saved.starts = [GuestLost("a: its snapshot cannot be opened")]
    assert world.asker(saved).observe(scenario("x86_64.1"))
    assert restored(saved) == [True, False]
    assert world.reasons == [("a: its snapshot cannot be opened", True)]
    assert world.counter.now == 1


def test_lost_after_it_was_restored(world, saved):
    """The scenario is asked once more, of a guest that booted: the snapshot may have caused the loss."""
    saved.dead = {1}
    with pytest.raises(GuestLost):
        world.asker(saved).observe(scenario("x86_64.1"))
    assert restored(saved) == [True, False]
    assert saved.forgotten == [HELLO]
    assert world.reasons == [("lost: panic", True), ("lost: panic", False)]


def test_neither_restored_nor_booted(world, saved):
    saved.restorable_at_all, saved.default_hello = False, LOST
    with pytest.raises(GuestLost):
        world.asker(saved).observe(scenario("x86_64.1"))
    assert restored(saved) == [True, False, False]
    assert [incident.retried for incident in world.incidents] == [True, True, False]


def test_a_snapshot_is_doubted_after_any_loss(world, saved):
    """Also when there is one again, taken by another run."""
    asked = world.asker(saved)
    saved.replies = [LOST]
    saved.takes_snapshots = True
    asked.observe(scenario("x86_64.1"))
    saved.replies = [LOST]
    asked.observe(scenario("x86_64.2"))
    assert restored(saved) == [True, False, False]
    assert saved.forgotten == [HELLO]


def test_a_snapshot_that_cannot_be_saved_is_one_incident(world):
    """The guest goes on."""
    opener = world.opener("a")
    opener.trouble = "a: no snapshot saved: No space left on device"
    asked = world.asker(opener)
    for name in "ab":
        assert asked.observe(scenario(f"x86_64.{name}"))
    assert len(opener.hosts) == 1
    assert world.reasons == [(opener.trouble, False)]


def test_incidents_of_a_host(world):
    """What a host notes beside the answers, such as a log that cannot be written, is recorded once."""
    opener = world.opener("a")
    opener.incidents = ["a: its logs are incomplete"]
    asked = world.asker(opener)
    for name in "ab":
        assert asked.observe(scenario(f"x86_64.{name}"))
    assert world.reasons == [("a: its logs are incomplete", False)]


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), OSError(28, "No space left on device"), MemoryError()]
)
def test_what_this_machine_lacks(world, error):
    """No descriptor, no disk, no memory while files are prepared: the target is lost, by an error with one line."""
    opener = world.opener("a")
    opener.refused = error
    asked = world.asker(opener)
    for _ in range(3):
        with pytest.raises(InfrastructureError, match="its files cannot be prepared: ") as caught:
            asked.facts()
        # The same error each time, and not with the frames of the times before.
        assert len(caught.traceback) < 15
    assert opener.hosts == []


def test_what_this_machine_lacks_at_a_start(world):
    """The host is started once more."""
    opener = world.opener("a")
    opener.starts = [OSError(24, "Too many open files")]
    asked = world.asker(opener)
    assert asked.observe(scenario("x86_64.a"))
    assert (
        "it cannot be started: Too many open files: raise the limit of open files"
        in world.incidents[0].reason
    )
    asked.close()


def test_no_files_left_at_any_start(world, lab):
    """The machine is lost, for every scenario, after a limited number of starts."""
    lab.starts = [OSError(errno.EMFILE, "Too many open files")] * 100
    asked = ask(world, lab)
    for name in "abc":
        with pytest.raises(InfrastructureError):
            asked.observe(scenario(f"x86_64.{name}"))
    assert len(lab.hosts) <= 4
    assert "it cannot be started: Too many open files: raise the limit" in world.incidents[0].reason
