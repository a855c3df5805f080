"""A target over SSH as the suite sees it, with connections that end when nobody wants them to."""

import dataclasses
import threading
import time

import pytest

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.build.programs import Program
from sysevent.errors import GuestLost, HostUnreachable
from sysevent.hosts import machines
from sysevent.probe import catalog, guest
from sysevent.probe.scenario import Scenario, Sleep


@pytest.fixture
def asked(lab, monkeypatch, closing):
    """asked(server): its Guest, whose scenarios are named for the milliseconds they sleep."""
    monkeypatch.setattr(machines.programs, "vmm", lambda *_: Program(lab.vmm, "build"))

    def scenario(name):
        arch, _, milliseconds = name.partition(".")
        return Scenario(name, arch, (Sleep(int(milliseconds)),))

    monkeypatch.setattr(catalog, "scenario", scenario)
    own = dataclasses.replace(settings.from_environment(), cache=lab.path / "cache")

    def make(server, **changes):
        lab.knows(server)
        lab.incidents, lab.seen = [], []
        return closing(
            guest.Guest(
                lab.spec(server, **changes),
                own,
                lab.path / "logs",
                lab.told.append,
                lab.incidents.append,
                lambda target, seen: lab.seen.append(seen.scenario),
            )
        )

    return make


def cut_when_it_hangs(server, lab, also=lambda: None):
    """In the middle of the scenario that hangs, from a thread."""

    def wait():
        while not lab.mark.exists():
            time.sleep(0.02)
        also()
        server.cut()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_cut_in_the_middle(sshd, lab, asked):
    """Connected once again, asked once more, everything kept, nothing left behind."""
    server = sshd("one")
    found = asked(server)
    arch = ARCHITECTURES[found.spec.arch]
    names = [f"{arch.name}.{ms}" for ms in (1, 2, 5000, 3)]
    thread = cut_when_it_hangs(server, lab)
    for name in names:
        assert found.observe(name, "native").scenario == name
    thread.join()
    assert lab.seen == names
    (incident,) = lab.incidents
    assert incident.retried
    assert "the connection to 127.0.0.1 broke" in incident.reason
    assert incident.log == str(lab.path / "logs" / "ssh.log")
    found.close()
    assert lab.left() == []


def test_cut_for_good(sshd, lab, asked, monkeypatch):
    """The rest is missed, at once, and says why; what was obtained is kept."""
    monkeypatch.setattr("sysevent.hosts.ssh.connect._WAIT", 0.01)
    server = sshd("one")
    found = asked(server)
    arch = found.spec.arch

    def down():
        server.process.kill()
        server.process.wait(10)

    # Killing the listener leaves its connections: those are to be found before.
    below = server.sessions
    found.observe(f"{arch}.1", "native")
    sessions = below()
    monkeypatch.setattr(server, "sessions", lambda: sessions)
    thread = cut_when_it_hangs(server, lab, down)
    begin = time.monotonic()
    for ms in (5000, 2, 3):
        with pytest.raises((GuestLost, HostUnreachable), match="127"):
            found.observe(f"{arch}.{ms}", "native")
    thread.join()
    assert time.monotonic() - begin < 30
    assert found.observe(f"{arch}.1", "native")
    assert lab.seen == [f"{arch}.1"]
    found.close()
    assert lab.gone(20)


def test_two_machines_at_once(sshd, lab, asked):
    """Each with a connection and a directory of its own."""
    one, two = sshd("one"), sshd("two")
    first, second = asked(one), asked(two)
    lab.knows(one, two)
    for found in (first, second):
        assert found.observe(f"{found.spec.arch}.1", "native")
    assert len(lab.left()) == 2
    first.close()
    assert len(lab.left()) == 1
    second.close()
    assert lab.left() == []
