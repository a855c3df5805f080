"""What is sent ahead, before anything waits for it, and what comes of that when a guest is lost."""

import pytest
from fakes import scenario

from sysevent import wire
from sysevent.engine.question import Question
from sysevent.errors import BadWire, HarnessError
from sysevent.hosts.base import WINDOW

MANY = [scenario(f"x86_64.{n}") for n in range(40)]


def plan(*scenarios):
    return {"plan": lambda _: [Question(found) for found in scenarios]}


def sent(opener):
    return [len(host.sent) for host in opener.hosts]


def test_facts_that_cannot_be_had(world):
    """No plan is made without them, and each call says why."""
    opener = world.opener()
    opener.replies = [wire.Reply(wire.State.DIED, 11, ())]
    asked = world.asker(opener, options=plan(*MANY))
    for _ in range(2):
        with pytest.raises(HarnessError, match="died of signal 11"):
            asked.facts()
    assert (opener.sent, asked.finished) == (1, False)


def test_what_is_planned_is_sent_ahead(world):
    """The facts at once, the rest when they are known; each once, whatever asks for it later."""
    opener = world.opener()
    asked = world.asker(opener, options=plan(*MANY, MANY[0]))
    asked.restarts.start()
    for _ in range(5):
        asked.attend()
    assert opener.sent == 41
    assert asked.finished
    assert asked.observe(MANY[39]).scenario == "x86_64.39"
    assert opener.sent == 41


def test_facts_first(world):
    """Nothing of a plan can be known before them, and nothing else is sent ahead of what is waited for."""
    opener = world.opener()
    opener.window = 1
    asked = world.asker(opener, facts=("x86_64.facts", "x86_64.more"), options=plan(*MANY))
    asked.facts()
    assert [seen[1] for seen in world.observations] == ["x86_64.facts", "x86_64.more"]
    asked.observe(MANY[5])
    assert [seen[1] for seen in world.observations][2:4] == ["x86_64.0", "x86_64.5"]


def test_a_plan_gets_the_facts(world):
    """And is called once."""
    given = []
    asked = world.asker(world.opener(), options={"plan": lambda facts: given.append(facts) or []})
    found = asked.facts()
    asked.observe(MANY[0])
    assert given == [found]


def test_without_a_plan_nothing_is_sent_ahead(world):
    opener = world.opener()
    asked = world.asker(opener)
    asked.observe(MANY[0])
    assert (opener.sent, asked.finished) == (1, False)


def test_a_plan_that_is_not_complete(world):
    """The guest runs on: something else may be asked."""
    asked = world.asker(world.opener(), options={"complete": False, **plan(*MANY)})
    for found in MANY:
        asked.observe(found)
    assert not asked.finished


def test_no_more_in_flight_than_fit(world):
    opener = world.opener()
    asked = world.asker(opener, options=plan(*MANY))
    opener.dead = {2}
    asked.facts()
    for _ in range(3):
        asked.attend()
    assert sent(opener) == [1 + WINDOW]


def test_lost_with_several_in_flight(world):
    """No answer of the guest counts without a control after it; all are asked of the next guest, one by one."""
    opener = world.opener()
    opener.dead = {4}
    asked = world.asker(opener, options=plan(*MANY[:6]))
    asked.facts()
    assert sent(opener) == [7]
    opener.dead = set()
    for found in MANY[:6]:
        assert asked.observe(found)
    assert world.reasons == [("lost: panic", True)]
    assert sent(opener) == [7, 6]
    assert asked.finished


def test_an_error_in_the_background_is_raised_when_it_is_asked(world):
    """And ends the sending ahead."""
    opener = world.opener()
    opener.hellos = [BadWire("another version")]
    asked = world.asker(opener, options=plan(*MANY))
    asked.restarts.start()
    for _ in range(3):
        asked.attend()
    assert (world.incidents, asked.finished) == ([], False)
    assert asked.observe(MANY[0])
    assert world.reasons == [("another version", True)]
    assert sent(opener) == [0, 1]


def test_a_wait_for_another_s_sake(world):
    """It ends with what it is for; and if nothing that is asked of this guest can bring that about."""
    opener = world.opener()
    asked = world.asker(opener, options=plan(*MANY))
    assert not asked.wait(lambda: False)
    asked.restarts.start()
    assert asked.wait(lambda: opener.sent > 20)
    assert not asked.finished
    assert not asked.wait(lambda: False)
    assert asked.finished


def test_a_wait_for_another_s_sake_after_a_loss(world):
    """What was planned is not sent ahead any more: each question is asked when it is waited for."""
    opener = world.opener()
    opener.dead = {7}
    asked = world.asker(opener, options=plan(*MANY))
    asked.restarts.start()
    assert not asked.wait(lambda: False)
    opener.dead = set()
    assert asked.observe(MANY[20])
    assert len(opener.hosts) == 2
    assert not asked.wait(lambda: False)
    assert asked.awaits(MANY[39])
