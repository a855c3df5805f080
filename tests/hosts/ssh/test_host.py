"""A lab machine over a real SSH connection, and the failures of such machines and connections."""

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from sysevent import wire
from sysevent.errors import DiskFull, GuestLost, HostUnreachable, NoKvm, WrongHost
from sysevent.hosts import waiting
from sysevent.hosts.ssh import host as ssh_host
from sysevent.hosts.ssh import remote

SOON = 15


def request(*milliseconds):
    steps = [wire.pack_step(wire.Op.SLEEP, ms.to_bytes(4, "little"), required=True) for ms in milliseconds]
    return wire.pack_request(1000, steps)


def refused(host, error):
    """The message of a host that fails soon, with exactly this error."""
    begin = time.monotonic()
    host.start()
    with pytest.raises(error) as caught:
        waiting.hello(host)
    assert time.monotonic() - begin < SOON
    assert type(caught.value) is error
    return str(caught.value)


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


def test_an_unknown_key_is_refused(sshd, lab, closing):
    """The message has its fingerprint and a command that adds it, which works."""
    server = sshd("one")
    message = refused(closing(lab.host(lab.spec(server))), HostUnreachable)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", server.folder / "host_key.pub"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert shown in message
    assert "is not in" in message
    # There was no login attempt.
    assert not any(server.log.read_text().count(word) for word in ("Accepted", "Failed"))
    line = message.rpartition("then: ")[2]
    assert line.startswith(f"ssh-keyscan -t ed25519 -p {server.port} 127.0.0.1 >> ")
    if shutil.which("ssh-keyscan"):
        subprocess.run(["sh", "-c", line], check=True, timeout=60, stderr=subprocess.DEVNULL)
        host = closing(lab.host(lab.spec(server)))
        host.start()
        assert waiting.hello(host)


def test_a_changed_key_is_refused(sshd, lab, closing):
    """The message has both fingerprints and a command that replaces the old key, which works."""
    one, two = sshd("one"), sshd("two")
    lab.known.write_text(f"[127.0.0.1]:{one.port} {two.key}\n")
    message = refused(closing(lab.host(lab.spec(one))), HostUnreachable)
    for server in (one, two):
        shown = subprocess.run(
            ["ssh-keygen", "-lf", server.folder / "host_key.pub"], capture_output=True, text=True, check=True
        ).stdout.split()[1]
        assert shown in message
    assert "has CHANGED" in message
    line = message.rpartition("that it was: ")[2]
    assert f"ssh-keygen -f {lab.known} -R '[127.0.0.1]:{one.port}' && ssh-keyscan" in line
    if shutil.which("ssh-keyscan"):
        subprocess.run(["sh", "-c", line], check=True, timeout=60, capture_output=True)
        host = closing(lab.host(lab.spec(one)))
        host.start()
        assert waiting.hello(host)


def test_refused_login(sshd, lab, closing):
    server = sshd("one")
    lab.knows(server)
    (server.folder / "authorized_keys").write_text("")
    message = refused(closing(lab.host(lab.spec(server))), HostUnreachable)
    assert f"{lab.path / 'id'} (refused)" in message
    assert "ssh-copy-id" in message


def test_connection_refused(lab, closing, monkeypatch):
    """It is tried three times; the first two failures are incidents."""
    monkeypatch.setattr("sysevent.hosts.ssh.connect._WAIT", 0.01)
    host = closing(lab.host(lab.spec(None)))
    message = refused(host, HostUnreachable)
    assert "connection refused" in message
    assert len(host.retried) == 2


def test_silent_port(lab, closing, monkeypatch):
    """A port that accepts connections and sends nothing costs the time of `connect`, not more."""
    monkeypatch.setattr("sysevent.hosts.ssh.connect._WAIT", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = closing(lab.host(lab.spec(None, port=mute.getsockname()[1], connect=1)))
        assert "127.0.0.1 port" in refused(host, HostUnreachable)


def test_close_while_it_connects(lab, closing):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = closing(lab.host(lab.spec(None, port=mute.getsockname()[1], connect=60)))
        host.start()
        time.sleep(0.3)
        begin = time.monotonic()
        host.close()
        assert time.monotonic() - begin < 5


def test_another_architecture(sshd, lab, closing, wrapped):
    """The machine is refused because of its uname, and nothing is copied there."""
    (lab.path / "bin").mkdir()
    fake = lab.path / "bin" / "uname"
    fake.write_text('#!/bin/sh\nif [ "$1" = -m ]; then echo sparc64; else exec /bin/uname "$@"; fi\n')
    fake.chmod(0o755)
    server = sshd("one", wrapped(f"PATH={lab.path / 'bin'}:$PATH; export PATH"))
    lab.knows(server)
    message = refused(closing(lab.host(lab.spec(server))), WrongHost)
    assert "this machine is sparc64 (uname -m)" in message
    assert lab.left() == []


def test_no_kvm(sshd, lab, closing):
    server = sshd("one")
    lab.knows(server)
    lab.kvm.unlink()
    assert "there is no /dev/kvm: load the module" in refused(closing(lab.host(lab.spec(server))), NoKvm)
    assert lab.left() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_no_permission(sshd, lab, closing):
    server = sshd("one")
    lab.knows(server)
    lab.kvm.chmod(0)
    assert "may not open /dev/kvm" in refused(closing(lab.host(lab.spec(server))), NoKvm)


def test_unexpected_traits(sshd, lab, closing):
    server = sshd("one")
    lab.knows(server)
    message = refused(closing(lab.host(lab.spec(server, expect={"kernel": "2.4.*"}))), WrongHost)
    assert f"expect.kernel = '2.4.*', and this machine has {os.uname().release!r}" in message


def test_missing_directory(sshd, lab, closing):
    """`directory` does not exist on the machine."""
    server = sshd("one")
    lab.knows(server)
    message = refused(closing(lab.host(lab.spec(server, directory=str(lab.path / "nowhere")))), WrongHost)
    assert "no directory could be created" in message
    assert "name another `directory`" in message


@pytest.fixture
def tmpfs(lab):
    """tmpfs(options): mounts one at lab.there."""
    mounted = []

    def mount(options):
        if os.geteuid() != 0:
            pytest.skip("only root can mount a small file system")
        ran = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", lab.there],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if ran.returncode:
            pytest.skip(f"no file system can be mounted here: {ran.stderr.strip()}")
        mounted.append(lab.there)

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True, timeout=60)


def test_a_full_disk(sshd, lab, closing, tmpfs):
    """A full disk is DiskFull, and nothing stays there."""
    tmpfs("size=8k")
    lab.vmm.write_bytes(lab.vmm.read_bytes() + b"#" * 100_000)
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    message = refused(host, DiskFull)
    assert "No space left on device" in message
    host.close()
    assert lab.left() == []


def test_noexec(sshd, lab, closing, tmpfs):
    tmpfs("noexec")
    server = sshd("one")
    lab.knows(server)
    host = closing(lab.host(lab.spec(server)))
    assert "it may be mounted noexec" in refused(host, WrongHost)
    host.close()
    assert lab.left() == []


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
    assert not Path(f"/proc/{pid}").exists()
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
    assert host.log.stat().st_size < 2 * ssh_host._LOG


def test_through_a_jump_host(sshd, lab, closing):
    """The target and the jump host are verified."""
    one, two = sshd("one"), sshd("two")
    lab.knows(one, two)
    host = closing(lab.host(lab.spec(two, jump=f"127.0.0.1:{one.port}")))
    host.start()
    assert waiting.hello(host)
    host.close()
    assert lab.left() == []
    assert "Accepted publickey" in one.log.read_text()


@pytest.mark.parametrize("stranger", ["one", "two"])
def test_unknown_key_on_the_route(sshd, lab, closing, stranger):
    servers = {"one": sshd("one"), "two": sshd("two")}
    lab.knows(*(server for name, server in servers.items() if name != stranger))
    spec = lab.spec(servers["two"], jump=f"127.0.0.1:{servers['one'].port}")
    message = refused(closing(lab.host(spec)), HostUnreachable)
    assert f"the key of 127.0.0.1 port {servers[stranger].port} is not in" in message
    if stranger == "two":
        assert f"then: ssh -p {servers['one'].port} " in message


def test_ssh_config(sshd, lab, closing):
    """Address, port, user, key, known_hosts and jump host come from ~/.ssh/config."""
    one, two = sshd("one"), sshd("two")
    lab.knows(one, two)
    (lab.home / ".ssh" / "config").write_text(
        f"""
        Host *
            IdentityFile {lab.path / "id"}
            UserKnownHostsFile {lab.known}
            HostName 127.0.0.1
        Host door
            Port {one.port}
        Host board
            Port {two.port}
            ProxyJump door
        """
    )
    host = closing(lab.host(lab.spec(two, address="board", port=0, user="", identity="", known_hosts="")))
    host.start()
    assert waiting.hello(host)


def test_proxy_command(sshd, lab, closing):
    """close() ends it."""
    ssh = shutil.which("ssh")
    if ssh is None:
        pytest.skip("ssh is not installed: apt-get install openssh-client")
    one, two = sshd("one"), sshd("two")
    lab.knows(one, two)
    options = f"-F none -i {lab.path / 'id'} -o UserKnownHostsFile={lab.known}"
    (lab.home / ".ssh" / "config").write_text(
        f"""
        Host board
            HostName 127.0.0.1
            ProxyCommand {ssh} {options} -p {one.port} -W %h:%p 127.0.0.1
        """
    )
    host = closing(lab.host(lab.spec(two, address="board")))
    host.start()
    assert waiting.hello(host)
    pid = host._connection._proxy.pid
    host.close()
    assert not Path(f"/proc/{pid}").exists()


def test_the_agent(sshd, lab, closing, monkeypatch):
    if not (shutil.which("ssh-agent") and shutil.which("ssh-add")):
        pytest.skip("ssh-agent is not installed: apt-get install openssh-client")
    server = sshd("one")
    lab.knows(server)
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", lab.path / "agent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(lab.path / "agent"))
        end = time.monotonic() + SOON
        while subprocess.run(["ssh-add", "-q", lab.path / "id"], capture_output=True, timeout=60).returncode:
            assert time.monotonic() < end
            time.sleep(0.05)
        host = closing(lab.host(lab.spec(server, identity="")))
        host.start()
        assert waiting.hello(host)
    finally:
        agent.kill()
        agent.wait(SOON)


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
