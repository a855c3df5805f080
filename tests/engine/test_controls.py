"""Controls: which answers of a guest count, and what follows when it is ill."""

import msgspec
import pytest
from fakes import CONTROL, ILL, LOST, STUCK, FakeOpener, scenario

from sysevent import wire
from sysevent.engine.question import Question
from sysevent.errors import (
    BadWire,
    GuestIll,
    GuestLost,
    NoKvm,
    VcpuStuck,
)
from sysevent.scenario.request import encode
from sysevent.scenario.steps import Scenario

MANY = [scenario(f"x86_64.{n}", n + 1) for n in range(40)]
DIED = wire.Reply(wire.State.DIED, 11, ())
NO_KVM = wire.Reply(wire.State.STOPPED, 0, (wire.Result(wire.Op.VM, 0, -1, 2, b""),))
AT_ITS_START = "x: the guest is ill, it failed its control before any other scenario: it lacks its file"


def plan(*scenarios):
    return {"plan": lambda _: [Question(found) for found in scenarios]}


def body(asked: Scenario) -> bytes:
    return encode(asked, {})[0]


def controls(opener: FakeOpener) -> list[int]:
    return [host.controls for host in opener.hosts]


def observed(world):
    return [name for _, name, _ in world.observations]


# How many there are.


def test_one_more_scenario_for_each_burst(world):
    """One at the start, one after the facts, which decide what is asked, and one after every 32 requests."""
    opener = world.opener()
    asked = world.asker(opener, options=plan(*MANY))
    for one in MANY:
        asked.observe(one)
    assert controls(opener) == [1 + 1 + 1 + 1]
    assert asked.finished


def test_one_after_each_request_that_is_alone(world):
    opener = world.opener()
    asked = world.asker(opener)
    for one in MANY[:3]:
        asked.observe(one)
    assert controls(opener) == [1 + 3]


def test_a_stream_has_one_for_each_window(world):
    opener = world.opener()
    assert len(list(world.asker(opener).stream(MANY))) == 40
    assert controls(opener)[0] <= 5


def test_each_session_begins_with_one(world):
    opener = world.opener()
    asked = world.asker(opener)
    opener.dead = {2}
    for one in MANY[:3]:
        asked.observe(one)
    assert controls(opener) == [3, 3, 2]


# When an answer counts.


def test_no_answer_counts_before_a_control_after_it(world):
    """It is neither returned nor passed to a listener while the control has no reply."""
    opener = world.opener()
    asked = world.asker(opener, options=plan(*MANY[:3]))
    asked.restarts.start()
    host, replies = opener.hosts[0], []
    answer = host._answer
    host._answer = lambda number, request, found: (
        replies.append((number, request, found))
        if request == body(CONTROL.scenario)
        else answer(number, request, found)
    )
    for _ in range(4):
        asked.attend()
    assert (world.observations, asked.finished) == ([], False)
    for given in replies:
        answer(*given)
    host._answer = answer
    for _ in range(4):
        asked.attend()
    assert observed(world) == ["x86_64.facts", *(one.name for one in MANY[:3])]
    assert asked.finished


def test_what_a_planned_request_waits_for_is_not_asked_again(world):
    """observe() of a scenario whose answer has arrived, and does not count yet, waits for the control."""
    opener = world.opener()
    asked = world.asker(opener, options=plan(*MANY))
    asked.facts()
    asked.observe(MANY[39])
    for one in MANY:
        asked.observe(one)
    assert opener.sent == 41


# Ill guests.


def test_ill_from_birth(world):
    """The guest is booted once more, and nothing of the first one counts."""
    opener = world.opener()
    opener.controls = [ILL]
    asked = world.asker(opener, options=plan(*MANY[:3]))
    assert asked.observe(MANY[0])
    assert world.reasons == [(AT_ITS_START, True)]
    assert observed(world) == ["x86_64.0"]
    assert len(opener.hosts) == 2


@pytest.mark.parametrize("reply", [ILL, STUCK, DIED, BadWire("nonsense")])
def test_two_ill_guests(world, reply):
    """Nothing more is asked, and every claim has the reason at once."""
    opener = world.opener()
    opener.controls = [reply] * 9
    asked = world.asker(opener, options=plan(*MANY))
    with pytest.raises(GuestIll, match="it failed its control before any other scenario"):
        asked.facts()
    sent = opener.sent
    for one in MANY:
        with pytest.raises(GuestIll, match="it failed its control"):
            asked.observe(one)
    assert (len(opener.hosts), opener.sent, world.observations) == (2, sent, [])
    assert [retried for _, retried in world.reasons] == [True, False]
    assert world.counter.now == 0


def test_ill_in_the_background(world):
    """The one who waits for it next finds out."""
    opener = world.opener()
    opener.controls = [ILL]
    asked = world.asker(opener, options=plan(*MANY))
    asked.restarts.start()
    for _ in range(3):
        asked.attend()
    assert (world.incidents, world.observations, asked.finished) == ([], [], False)
    assert asked.facts()
    assert world.reasons == [(AT_ITS_START, True)]


def test_a_restored_guest_that_is_ill(world):
    """The next one is booted, and the snapshot discarded."""
    world.settings = msgspec.structs.replace(world.settings, snapshots=True)
    opener = world.opener()
    opener.snapshot, opener.controls = True, [ILL]
    assert world.asker(opener).observe(MANY[0])
    assert [host.restored for host in opener.hosts] == [True, False]
    assert len(opener.forgotten) == 1


def test_ill_in_the_middle(world):
    """What it gave since its last good control is dropped, and asked of the next guest."""
    opener = world.opener()
    opener.controls = [None, None, ILL]
    asked = world.asker(opener, options=plan(*MANY))
    for one in MANY:
        assert asked.observe(one)
    assert sorted(observed(world)) == sorted(["x86_64.facts", *(one.name for one in MANY)])
    (incident,) = world.incidents
    assert "after x86_64.32, which 31 others preceded" in incident.reason


def test_a_scenario_that_makes_its_guest_ill(world):
    """It has the reasons of both guests, and the others are asked."""
    opener = world.opener()
    opener.poisons = {body(MANY[1])}
    asked = world.asker(opener)
    assert asked.observe(MANY[0])
    with pytest.raises(GuestIll, match=r"x86_64\.1 makes its guest ill: .*; then, in another guest: .*"):
        asked.observe(MANY[1])
    assert asked.observe(MANY[2])
    assert observed(world) == ["x86_64.0", "x86_64.2"]
    assert (len(opener.hosts), len(world.incidents)) == (3, 2)


def test_a_scenario_that_makes_its_guest_ill_in_a_burst(world):
    """The second guest shows which one it was."""
    opener = world.opener()
    opener.poisons = {body(MANY[1])}
    asked = world.asker(opener, options=plan(*MANY[:6]))
    for one in MANY[:6]:
        if one is MANY[1]:
            with pytest.raises(GuestIll, match=r"x86_64\.1 makes its guest ill"):
                asked.observe(one)
        else:
            assert asked.observe(one)
    assert len(opener.hosts) == 3
    assert len(world.observations) == 1 + 5


def test_three_scenarios_that_make_their_guests_ill(world):
    """Each explains its own guests, so that the others still have their answers."""
    opener = world.opener()
    bad = [MANY[1], MANY[3], MANY[5]]
    opener.poisons = {body(one) for one in bad}
    asked = world.asker(opener)
    for one in MANY[:8]:
        if one in bad:
            with pytest.raises(GuestIll, match="makes its guest ill"):
                asked.observe(one)
        else:
            assert asked.observe(one)
    assert len(world.observations) == 5


def test_a_target_whose_guests_all_become_ill(world):
    """Its boots are limited."""
    opener = world.opener()
    opener.poisons = {body(one) for one in MANY}
    asked = world.asker(opener)
    for one in MANY[:9]:
        with pytest.raises(GuestLost):
            asked.observe(one)
    assert (len(opener.hosts), world.observations) == (4, [])


def test_a_machine_without_kvm(world):
    """It is not called ill, and not tried again."""
    opener = world.opener()
    opener.controls = [NO_KVM] * 9
    asked = world.asker(opener)
    for one in MANY[:3]:
        with pytest.raises(NoKvm, match="/dev/kvm cannot be used there"):
            asked.observe(one)
    assert (len(opener.hosts), world.incidents) == (1, [])


def test_lost_in_its_control(world):
    """That is a loss like any other."""
    opener = world.opener()
    opener.controls = [None, LOST]
    assert world.asker(opener).observe(MANY[0])
    assert world.reasons == [("lost: panic", True)]
    assert observed(world) == ["x86_64.0"]


# Answers that may be those of an ill guest.


def test_a_stuck_vcpu_with_others_waiting_behind_it(world):
    """Each would take its whole watchdog, so they are asked of another guest, one at a time."""
    opener = world.opener()
    asked = world.asker(opener, options=plan(*MANY[:6]))
    opener.replies = [None, STUCK]
    asked.facts()
    for one in MANY[:6]:
        assert asked.observe(one)
    ((reason, retried),) = world.reasons
    assert reason.startswith("x: a vCPU was stuck in x86_64.0, with 5 scenarios waiting behind it")
    assert retried


def test_a_stuck_vcpu_of_a_guest_that_is_well(world):
    """The scenario has no observation, and the guest is asked on."""
    opener = world.opener()
    opener.replies = [STUCK]
    asked = world.asker(opener)
    with pytest.raises(VcpuStuck):
        asked.observe(MANY[0])
    assert asked.observe(MANY[1])
    assert (controls(opener), world.incidents) == ([3], [])
