"""Ways to a lab machine: jump hosts, the user's ssh configuration and the agent."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from lab_hosts import SOON, refused

from sysevent.errors import HostUnreachable
from sysevent.hosts import waiting


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
