"""Ways to a lab machine: jump hosts, the user's ssh configuration and the agent."""

import getpass
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from lab_hosts import SOON, knows_sessiontype, refused

from sysevent.errors import HostUnreachable
from sysevent.hosts import waiting

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
COMMON = " HostName 127.0.0.1\n Port {port} # lab rack 3\n User {user}\n IdentityFile {path}/id\n"
KNOWN = " UserKnownHostsFile {path}/known_hosts\n"
CASES = [
    "Host labbox\n{common}" + KNOWN,
    "# Serverraum B\xfcro 3\nHost labbox\n{common}" + KNOWN,
    "Host labbox\n{common} UserKnownHostsFile {path}/khd/%n\n",
    "Host somethingelse\n User x\nMatch all\nInclude {path}/inc.cfg\n",
    "Match sessiontype sftp\n User uploads\nHost labbox\n{common}" + KNOWN,
    "Match exec false\n User uploads\nMatch originalhost labbox\n{common}" + KNOWN,
]


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


@pytest.fixture
def agent(lab):
    """The socket of an agent that has the test's key."""
    if not (shutil.which("ssh-agent") and shutil.which("ssh-add")):
        pytest.skip("ssh-agent is not installed: apt-get install openssh-client")
    path = lab.path / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + SOON
    words = ["ssh-add", "-q", lab.path / "id"]
    while subprocess.run(
        words, capture_output=True, timeout=60, env=os.environ | {"SSH_AUTH_SOCK": str(path)}
    ).returncode:
        assert time.monotonic() < end
        time.sleep(0.05)
    yield path
    process.kill()
    process.wait(SOON)


def test_the_agent(sshd, lab, agent, closing, monkeypatch):
    server = sshd("one")
    lab.knows(server)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    host = closing(lab.host(lab.spec(server, identity="")))
    host.start()
    assert waiting.hello(host)


@needs_ssh
def test_identity_agent(sshd, lab, agent, closing):
    """The agent of IdentityAgent is asked; without one, the message says that it does not answer."""
    server = sshd("one")
    lab.knows(server)
    config = lab.home / ".ssh" / "config"
    config.write_text(f"Host labbox\n HostName 127.0.0.1\n IdentityAgent {agent}\n")
    host = closing(lab.host(lab.spec(server, address="labbox", identity="")))
    host.start()
    assert waiting.hello(host)
    config.write_text(f"Host labbox\n HostName 127.0.0.1\n IdentityAgent {agent}.other\n")
    message = refused(closing(lab.host(lab.spec(server, address="labbox", identity=""))), HostUnreachable)
    assert f"tried the agent at {agent}.other (No such file or directory)" in message


@needs_ssh
def test_public_key_as_identity(sshd, lab, agent, closing):
    """Of the keys of an agent it names the one to use, also if the private half is nowhere else."""
    server = sshd("one")
    lab.knows(server)
    (lab.path / "id").rename(lab.path / "away")
    config = lab.home / ".ssh" / "config"
    text = f"Host labbox\n HostName 127.0.0.1\n IdentityAgent {agent}\n IdentitiesOnly yes\n"
    config.write_text(f"{text} IdentityFile {lab.path / 'id.pub'}\n")
    host = closing(lab.host(lab.spec(server, address="labbox", identity="")))
    host.start()
    assert waiting.hello(host)
    config.write_text(f"{text} IdentityFile {lab.path / 'one' / 'host_key.pub'}\n")
    message = refused(closing(lab.host(lab.spec(server, address="labbox", identity=""))), HostUnreachable)
    assert "does not let" in message


@needs_ssh
def test_certificate(sshd, lab, closing):
    """The server knows the authority of the certificate in CertificateFile, and no key."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", lab.path / "authority"]
    subprocess.run(words, check=True, timeout=60)
    server = sshd("one", f"TrustedUserCAKeys {lab.path / 'authority.pub'}")
    (lab.path / "one" / "authorized_keys").write_text("")
    lab.knows(server)
    words = ["ssh-keygen", "-q", "-s", lab.path / "authority", "-I", "me", "-n", getpass.getuser()]
    subprocess.run([*words, lab.path / "id.pub"], check=True, timeout=60)
    (lab.path / "id-cert.pub").rename(lab.path / "elsewhere.pub")
    (lab.home / ".ssh" / "config").write_text(
        f"Host labbox\n HostName 127.0.0.1\n IdentityFile {lab.path / 'id'}\n"
        f" CertificateFile {lab.path / 'authority.pub'}\n CertificateFile {lab.path / 'elsewhere.pub'}\n"
    )
    host = closing(lab.host(lab.spec(server, address="labbox", identity="")))
    host.start()
    assert waiting.hello(host)


@needs_ssh
@pytest.mark.parametrize("text", CASES, ids=list("abcdef"[: len(CASES)]))
def test_configurations_from_the_field(sshd, lab, closing, text):
    """Each is read as by ssh; a section that this ssh cannot decide about is refused, and never applied."""
    server = sshd("one")
    (lab.path / "khd").mkdir()
    (lab.path / "khd" / "labbox").write_text(server.known)
    lab.knows(server)
    words = {"port": server.port, "user": getpass.getuser(), "path": lab.path}
    (lab.path / "inc.cfg").write_text(
        f"Host labbox\n{COMMON} UserKnownHostsFile {{path}}/known_hosts\n".format(**words)
    )
    (lab.home / ".ssh" / "config").write_bytes(
        text.format(common=COMMON.format(**words), **words).encode("latin-1")
    )
    host = closing(lab.host(lab.spec(server, address="labbox", port=0, user="", identity="", known_hosts="")))
    if "sessiontype" in text and not knows_sessiontype():
        with pytest.raises(HostUnreachable, match="Bad Match condition"):
            host.start()
        return
    host.start()
    assert waiting.hello(host)
