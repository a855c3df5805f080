"""A lab machine over a real SSH connection: what it answers, how it is lost, and what it leaves behind."""

import os
import threading
import time
from pathlib import Path

import pytest
from fakes import until
from lab_hosts import SOON, refused, request

from sysevent.errors import GuestLost
from sysevent.hosts import waiting
from sysevent.hosts.ssh import host as ssh_host
from sysevent.hosts.ssh import log as ssh_log
from sysevent.hosts.ssh import remote


def test_hello_replies_and_cleanup(sshd, lab, closing):
    """A whole conversation, with replies of several lengths, after which nothing stays on the machine."""
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    hello = waiting.hello(host)
    assert (hello.release, hello.machine) == (os.uname().release, os.uname().machine)
    assert host.traits["node"] == os.uname().nodename
    assert 0 < host.seconds_to_ready < SOON
    (folder,) = lab.there.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    numbers = [host.send(request(*[1] * count), 1) for count in (1, 2, 3, 4000)]
    assert [len(waiting.reply(host, number, SOON).results) for number in numbers] == [1, 2, 3, 4000]
    begin = time.monotonic()
    host.close()
    assert time.monotonic() - begin < 3
    assert lab.left() == []
    assert "the VMM of the test" in host.log.read_text()
    assert lab.messages == []
    host.close()


def test_both_directions_full_at_once(sshd, lab, closing):
    """Megabytes in both directions do not deadlock when SSH windows are full."""
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    waiting.hello(host)
    body = request(*[1] * 60000)
    numbers = [host.send(body, 1) for _ in range(8)]
    assert all(len(waiting.reply(host, number, 60).results) == 60000 for number in numbers)


def test_select_wakes_for_frames(sshd, lab, closing):
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    waiting.hello(host)
    begin = time.monotonic()
    for _ in range(20):
        waiting.reply(host, host.send(request(1), 1), SOON)
    assert time.monotonic() - begin < 4, "as long as 20 heartbeats"


def test_a_directory_with_a_space(sshd, lab, closing):
    server = sshd("one")
    lab.knows(server)
    there = lab.there / "a b"
    there.mkdir()
    host = closing(lab.host(lab.spec(server, directory=str(there))))
    host.start()
    waiting.hello(host)
    host.close()
    assert list(there.iterdir()) == []


def test_connection_breaks_during_a_request(sshd, lab, closing):
    """The host is lost at once, and cleans up through a new connection."""
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    waiting.hello(host)
    number = host.send(request(5000), 1)
    while not lab.mark.exists():
        time.sleep(0.02)
    pid = int((next(lab.there.iterdir()) / "pid").read_text())
    server.cut()
    begin = time.monotonic()
    with pytest.raises(GuestLost, match=r"the connection to 127\.0\.0\.1 broke"):
        waiting.reply(host, number, 60)
    assert time.monotonic() - begin < SOON
    assert lab.left() != []
    host.close()
    assert lab.left() == []
    until(lambda: not Path(f"/proc/{pid}").exists(), SOON)
    assert "a new connection, to clean up" in host.log.read_text()


@pytest.mark.parametrize("step", ["read_traits", "create_workdir", "copy"])
def test_connection_breaks_during_the_start(sshd, lab, closing, monkeypatch, step):
    """It is GuestLost, which is tried once more, not HostUnreachable."""
    server = sshd("one")
    lab.knows(server)
    really = getattr(remote, step)

    def cut(*arguments):
        server.cut()
        return really(*arguments)

    monkeypatch.setattr(remote, step, cut)
    host = closing(lab.host(lab.spec(server)))
    assert "the connection broke" in refused(host, GuestLost)
    host.close()
    assert lab.gone()


def test_cleanup_without_a_connection(sshd, lab, closing):
    """The machine itself cleans up at the end of the VMM's input; close() reports that it could not."""
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    waiting.hello(host)
    (server.folder / "authorized_keys").write_text("")
    server.cut()
    with pytest.raises(GuestLost):
        waiting.reply(host, host.send(request(1), 1), 60)
    host.close()
    assert "took too long or failed" in lab.messages[-1]
    assert lab.gone()


def test_killed_shell(sshd, lab, closing, monkeypatch):
    """The watchdog on the machine ends the VMM and deletes its directory."""
    monkeypatch.setattr(remote, "_TICK", 1)
    monkeypatch.setattr(ssh_host.SshHost, "_remove_workdir", lambda self, hops: self._connection.close())
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    waiting.hello(host)
    host.send(request(5000), 1)
    while not lab.mark.exists():
        time.sleep(0.02)
    pid = int((next(lab.there.iterdir()) / "pid").read_text())
    shell = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shell, 9)
    assert lab.gone()
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_watchdog_on_the_machine(sshd, lab, closing, monkeypatch):
    """It ends a VMM that hangs, although the connection is up."""
    monkeypatch.setattr(remote, "_TICK", 1)
    monkeypatch.setattr(remote, "WALL", 2)
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    waiting.hello(host)
    with pytest.raises(GuestLost, match="the VMM there ended with exit code 137"):
        waiting.reply(host, host.send(request(5000), 1), 60)
    assert lab.gone()


def test_hanging_vmm(sshd, lab, closing):
    """It costs its deadline, and close() ends it although it reads nothing."""
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    host.start()
    waiting.hello(host)
    begin = time.monotonic()
    with pytest.raises(GuestLost, match="silent: no answer within 0 s"):
        waiting.reply(host, host.send(request(5000), 1), 0.4)
    host.close()
    assert time.monotonic() - begin < SOON
    assert lab.left() == []


@pytest.mark.parametrize("stream", [1, 2])
def test_vmm_that_sends_without_end(sshd, lab, closing, stream):
    """It costs its deadline, and the log stays within its limit."""
    server = sshd("one")
    lab.knows(server)
    lab.vmm.write_text(f"#!/bin/sh\nexec cat /dev/zero >&{stream}\n")
    host = closing(lab.host(lab.spec(server, boot=3)))
    host.start()
    begin = time.monotonic()
    with pytest.raises(GuestLost, match="silent"):
        waiting.hello(host)
    host.close()
    assert time.monotonic() - begin < SOON
    assert lab.gone()
    assert host.log.stat().st_size < 4 * ssh_log._PART


def test_close_frees_everything(sshd, lab):
    """After close() no thread and no file descriptor is left."""
    server = sshd("one")
    lab.knows(server)
    for _ in range(2):
        threads = threading.active_count()
        before = len(list(Path("/proc/self/fd").iterdir()))
        host = lab.host(lab.spec(server))
        host.start()
        waiting.hello(host)
        host.close()
    end = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
