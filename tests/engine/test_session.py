"""One conversation: what is in order, what is overdue, and which progress is shown."""

import math
import time

import pytest
from fakes import HELLO, LOST, FakeHost, FakeOpener, scenario

from sysevent import wire
from sysevent.engine.session import Session
from sysevent.errors import BadWire, GuestLost
from sysevent.hosts.base import ENDED, WINDOW

REQUEST = wire.pack_request(1000, [wire.pack_step(wire.Op.SLEEP, bytes(4), required=True)])


@pytest.fixture
def opener():
    return FakeOpener()


@pytest.fixture
def session(opener, tmp_path):
    """session(heartbeat): a started one; its host is opener.hosts[0], and its progress is session.progress."""

    def make(heartbeat=60.0):
        lines = []
        host = opener.open(tmp_path, lines.append, restore=False)
        found = Session("x", host, tmp_path, "boot", lines.append, heartbeat)
        found.progress = lines
        found.start()
        found.listen()
        return found

    return make


def test_the_patience_of_a_slow_machine(world, monkeypatch):
    """Every answer may take as many times longer, that of the control as well."""
    seconds = []
    send = Session.send

    def sending(session, request, abi, limit):
        seconds.append(limit)
        return send(session, request, abi, limit)

    monkeypatch.setattr(Session, "send", sending)
    for stretch in (1, 4):
        monkeypatch.setattr(FakeHost, "stretch", stretch)
        world.asker(world.opener()).observe(scenario("x86_64.a", milliseconds=500))
    assert seconds[:2] == [15, 12.5]
    assert seconds[len(seconds) // 2 :][:2] == [60, 50]


def test_a_conversation(session):
    found = session()
    assert found.receive_hello() == HELLO
    numbers = [found.send(REQUEST, 1, 10) for _ in range(3)]
    assert numbers == [1, 2, 3]
    replies = list(found.replies())
    assert [number for number, _ in replies] == numbers
    assert [reply.state for _, reply in replies] == [wire.State.DONE] * 3
    assert list(found.replies()) == []
    found.check()


def test_the_window(session):
    """How many requests may be in flight is the host's matter; replies make room."""
    found = session()
    found.receive_hello()
    for _ in range(WINDOW):
        assert found.open
        found.send(REQUEST, 1, 10)
    assert not found.open
    assert len(list(found.replies())) == WINDOW
    assert found.open


def test_an_invalid_reply_is_one(session, opener):
    """And those behind it are replies, too."""
    found = session()
    found.receive_hello()
    opener.replies = [BadWire("nonsense"), None]
    for _ in range(2):
        found.send(REQUEST, 1, 10)
    (_, first), (_, second) = found.replies()
    assert isinstance(first, BadWire)
    assert second.state is wire.State.DONE


def test_an_invalid_hello_stays_invalid(session, opener):
    """Though the host says it once: nothing must wait for another one."""
    opener.hellos = [BadWire("another version")]
    found = session()
    for _ in range(2):
        with pytest.raises(BadWire, match="another version"):
            found.receive_hello()
    assert found.hello is None


def test_a_host_that_does_not_start_is_closed(session, opener):
    opener.starts = [GuestLost("no snapshot")]
    with pytest.raises(GuestLost, match="no snapshot"):
        session()
    assert opener.counter.now == 0


def test_a_lost_host(session, opener):
    """What had arrived before counts."""
    found = session()
    found.receive_hello()
    opener.replies = [None, LOST]
    for _ in range(2):
        found.send(REQUEST, 1, 10)
    assert [number for number, _ in found.replies()] == [1]
    with pytest.raises(GuestLost, match="lost: panic"):
        found.check()


def test_a_hello_that_does_not_come(session, opener):
    found = session()
    opener.hosts[0].hello_timeout = 0.05
    found.begin_wait()
    assert 0 < found.timeout() <= 0.05
    time.sleep(0.06)
    assert found.timeout() == 0
    with pytest.raises(GuestLost, match="x: silent: no answer within 0 s"):
        found.check()


def test_each_reply_has_its_own_deadline(session, opener):
    """From when the host was free for it; a session that nothing waits for has none."""
    found = session()
    found.receive_hello()
    opener.hosts[0].reply = lambda number: None
    found.send(REQUEST, 1, 0.05)
    time.sleep(0.06)
    found.begin_wait()
    found.check()
    assert 0 < found.timeout() <= 0.05
    time.sleep(0.06)
    with pytest.raises(GuestLost, match="silent"):
        found.check()


def test_an_idle_session_is_never_overdue(session):
    found = session()
    found.receive_hello()
    found.begin_wait()
    time.sleep(0.01)
    found.check()
    assert found.timeout() > 1


def test_no_deadline_and_no_sign_of_life_in_a_debugger(session, opener):
    found = session(heartbeat=0.01)
    opener.hosts[0].has_deadlines, opener.hosts[0].hello_timeout = False, 0
    found.begin_wait()
    time.sleep(0.02)
    found.check()
    assert found.progress == []
    assert found.timeout() < math.inf


def test_signs_of_life_while_it_boots(session):
    """For the person who waits; none once it has said hello."""
    found = session(heartbeat=0.02)
    found.begin_wait()
    for _ in range(2):
        found.check()
        time.sleep(0.03)
        found.check()
    assert found.progress == ["x: booting, 0 s"] * 2
    found.receive_hello()
    time.sleep(0.03)
    found.check()
    assert len(found.progress) == 2


def test_a_host_that_ends_is_listened_to_until_nothing_arrives(session, opener):
    """Output from before its end may be what is awaited; but not beyond the deadline, should it never stop."""
    found = session()
    host = opener.hosts[0]
    host.failure, host.listen, host.hello_timeout = lambda: ENDED, lambda: True, 0.05
    found.begin_wait()
    found.listen()
    found.check()
    assert found.timeout() == 0
    time.sleep(0.06)
    with pytest.raises(GuestLost, match="silent"):
        found.check()
    host.listen = lambda: False
    found.begin_wait()
    found.listen()
    with pytest.raises(GuestLost):
        found.check()
