"""Asker: which requests a target gets, in which order, and what follows when its guest is lost."""

import msgspec
import pytest
from fakes import LOST, offsets, scenario

from sysevent import wire
from sysevent.errors import BadWire, GuestLost, HarnessError, ImageError, NotApplicable, UsageError
from sysevent.hosts.base import WINDOW

MANY = [scenario(f"x86_64.{n}") for n in range(40)]


def sent(opener):
    return [len(host.sent) for host in opener.hosts]


def test_each_is_asked_once(world):
    """A scenario is run once per ABI, in one boot, however often it is observed."""
    opener = world.opener()
    asked = world.asker(opener)
    first = asked.observe(scenario("x86_64.a"))
    assert asked.observe(scenario("x86_64.a"), "x86_64") is first
    asked.observe(scenario("x86_64.a"), "i386")
    asked.observe(scenario("x86_64.b"))
    (host,) = opener.hosts
    assert [abi for _, abi in host.sent] == [1, 2, 1]
    assert world.observations == [
        ("x", "x86_64.a", "x86_64"),
        ("x", "x86_64.a", "i386"),
        ("x", "x86_64.b", "x86_64"),
    ]
    for name, abi in (("a", "native"), ("a", "i386"), ("b", "x86_64")):
        assert 0 <= asked.seconds(scenario(f"x86_64.{name}"), abi) < 10
    assert world.incidents == []
    assert asked.restarts.seconds_to_boot == 1.5
    assert "x: Linux 6.12.1 answers after 1.5 s" in world.told


def test_what_is_not_recorded(world):
    """An observation that is not recorded is remembered as well."""
    opener = world.opener()
    asked = world.asker(opener)
    for _ in range(2):
        asked.observe(scenario("x86_64.build"), recorded=False)
    assert (opener.sent, world.observations) == (1, [])


def test_lost_once_is_asked_again(world):
    """The request is sent again after another boot, and the incident names the first boot's log."""
    opener = world.opener()
    opener.replies = [LOST]
    assert world.asker(opener).observe(scenario("x86_64.a")).scenario == "x86_64.a"
    assert sent(opener) == [1, 1]
    assert world.reasons == [("lost: panic", True)]
    assert world.incidents[0].target == "x"
    assert world.incidents[0].log == str(world.logs / "console.log")
    assert world.counter.now == 1


def test_lost_twice_is_lost(world):
    """The error is remembered, and the scenario is not sent a third time. Others are still sent."""
    opener = world.opener()
    asked = world.asker(opener)
    opener.replies = [LOST, GuestLost("lost: silent")]
    with pytest.raises(GuestLost, match="lost: silent"):
        asked.observe(scenario("x86_64.a"))
    assert world.reasons == [("lost: panic", True), ("lost: silent", False)]
    assert world.incidents[1].log == str(world.logs / "boot-2" / "console.log")
    with pytest.raises(GuestLost, match="lost: silent"):
        asked.observe(scenario("x86_64.a"))
    assert opener.sent == 2
    assert asked.observe(scenario("x86_64.b")).scenario == "x86_64.b"
    assert len(opener.hosts) == 3
    assert world.observations == [("x", "x86_64.b", "x86_64")]


def test_a_guest_that_never_boots(world):
    """It is booted once more, and each boot is one incident."""
    opener = world.opener()
    opener.default_hello = LOST
    with pytest.raises(GuestLost, match="lost: panic"):
        world.asker(opener).observe(scenario("x86_64.a"))
    assert world.reasons == [("lost: panic", True), ("lost: panic", False)]
    assert (len(opener.hosts), world.counter.now) == (2, 0)


def test_boots_are_limited(world):
    """After four boots every scenario is lost at once, without another boot."""
    opener = world.opener()
    opener.default_reply = LOST
    asked = world.asker(opener)
    for name in "abcdef":
        with pytest.raises(GuestLost):
            asked.observe(scenario(f"x86_64.{name}"))
    assert sent(opener) == [1, 1, 1, 1]
    assert world.counter.now == 0
    with pytest.raises(GuestLost, match="x: lost 4 times; no further boot is tried"):
        asked.observe(scenario("x86_64.z"))


def test_one_boot_in_a_debugger(world):
    """With --gdb, a guest that ended is not booted again: it would stop at its first instruction."""
    world.settings = msgspec.structs.replace(world.settings, debug=True)
    opener = world.opener()
    opener.default_hello = LOST
    asked = world.asker(opener)
    with pytest.raises(GuestLost, match="lost: panic"):
        asked.observe(scenario("x86_64.a"))
    with pytest.raises(GuestLost, match="x: lost once; no further boot is tried"):
        asked.observe(scenario("x86_64.b"))
    assert len(opener.hosts) == 1
    assert world.reasons[0] == ("lost: panic", False)


def test_an_invalid_hello_is_a_boot_that_failed(world):
    """Nothing is sent to a host whose HELLO is invalid; the next boot is asked."""
    opener = world.opener()
    opener.hellos = [BadWire("another version")]
    assert world.asker(opener).observe(scenario("x86_64.a")).scenario == "x86_64.a"
    assert sent(opener) == [0, 1]
    assert world.reasons == [("another version", True)]


def test_an_invalid_reply(world):
    """It is remembered as an error, and the guest that gave it is still asked."""
    opener = world.opener()
    opener.replies = [BadWire("nonsense")]
    asked = world.asker(opener)
    for _ in range(2):
        with pytest.raises(BadWire, match="nonsense"):
            asked.observe(scenario("x86_64.a"))
    asked.observe(scenario("x86_64.b"))
    assert (sent(opener), world.incidents) == ([2], [])


def test_an_image_that_cannot_be_obtained(world):
    """There is neither an incident nor a boot: nothing was lost."""
    opener = world.opener()
    opener.refused = ImageError("no mirror")
    asked = world.asker(opener)
    for name in ("x86_64.a", "x86_64.b"):
        with pytest.raises(ImageError, match="no mirror"):
            asked.observe(scenario(name))
    assert (opener.hosts, world.incidents) == ([], [])


def test_a_scenario_of_another_architecture(world):
    opener = world.opener()
    with pytest.raises(NotApplicable, match=r"arm64.a is for arm64; x is x86_64"):
        world.asker(opener).observe(scenario("arm64.a"))
    assert opener.hosts == []


def test_no_such_abi(world):
    with pytest.raises(UsageError, match="--abi armhf: x runs VMMs of x86_64, i386"):
        world.asker(world.opener()).observe(scenario("x86_64.a"), "armhf")


def test_a_vmm_that_died(world):
    """It is an error of ours, and the guest goes on."""
    opener = world.opener()
    opener.replies = [wire.Reply(wire.State.DIED, 11, ())]
    asked = world.asker(opener)
    with pytest.raises(HarnessError, match="died of signal 11"):
        asked.observe(scenario("x86_64.a"))
    asked.observe(scenario("x86_64.b"))
    assert (sent(opener), world.incidents) == ([2], [])


def test_a_vmm_that_the_machine_ended(world):
    """It counts as a lost guest, although the host gave a reply."""
    opener = world.opener()
    opener.replies = [wire.Reply(wire.State.DIED, 9, ())]
    assert world.asker(opener).observe(scenario("x86_64.a"))
    assert sent(opener) == [1, 1]
    ((reason, retried),) = world.reasons
    assert "the VMM was ended by signal 9" in reason
    assert retried


def test_close(world):
    """close() may be called twice, and before anything ran."""
    opener = world.opener()
    asked = world.asker(opener)
    asked.close()
    asked.observe(scenario("x86_64.a"))
    asked.close()
    asked.close()
    assert world.counter.now == 0


def test_facts(world):
    """The first scenario must succeed, another one may fail; they run once."""
    opener = world.opener()
    opener.replies = [None, wire.Reply(wire.State.DIED, 11, ())]
    asked = world.asker(opener, facts=("x86_64.facts", "x86_64.more"))
    found = asked.facts()
    assert (found.arch, found.release) == ("x86_64", "6.12.1")
    assert asked.facts() is found
    assert opener.sent == 2


def test_stream_remembers_nothing_and_keeps_the_order(world):
    opener = world.opener()
    asked = world.asker(opener)
    assert [seen.scenario for seen in asked.stream(MANY)] == [found.name for found in MANY]
    assert world.observations == []
    asked.observe(MANY[0])
    assert opener.sent == len(MANY) + 1


def test_stream_fills_the_window(world):
    opener = world.opener()
    stream = world.asker(opener).stream(MANY)
    next(stream)
    assert opener.sent == WINDOW
    next(stream)
    assert opener.sent == WINDOW + 1


def test_stream_ends_with_an_error(world):
    opener = world.opener()
    opener.dead = {3}
    stream = world.asker(opener).stream(MANY[:4])
    with pytest.raises(GuestLost):
        list(stream)


@pytest.mark.parametrize(("content", "pieces"), [(b"", 1), (b"abc", 1), (b"abcd", 2), (b"abcdefghi", 3)])
def test_a_file_comes_in_pieces(world, content, pieces):
    opener = world.opener()
    opener.files = {"/sys/kernel/btf/vmlinux": content}
    assert world.asker(opener).file("/sys/kernel/btf/vmlinux", piece=4) == content
    assert offsets(opener.hosts[0].sent) == [(4 * n, 4) for n in range(pieces)]
    assert world.observations == []


def test_a_file_that_is_not_there(world):
    with pytest.raises(NotApplicable, match="ENOENT"):
        world.asker(world.opener()).file("/sys/kernel/btf/kvm")


def test_a_file_without_an_end(world):
    opener = world.opener()
    opener.files = {"/dev/zero": b"x" * 100}
    with pytest.raises(BadWire, match="more than 16 bytes"):
        world.asker(opener).file("/dev/zero", piece=4, limit=16)
