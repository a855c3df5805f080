"""Lab machines that cannot be used: each is refused soon, with its own message."""

import os
import shutil
import socket
import subprocess
import time

import pytest
from lab_hosts import refused

from sysevent.errors import DiskFull, HostUnreachable, NoKvm, WrongHost
from sysevent.hosts import waiting


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
