"""Real OpenSSH servers on loopback, started as the user who runs the tests, and a fake VMM on them."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import processes
import pytest

from sysevent.hosts.ssh import remote
from sysevent.hosts.ssh.host import SshHost
from sysevent.targets.spec import TargetSpec

SSHD = shutil.which("sshd") or next(
    (p for p in ("/usr/sbin/sshd", "/usr/lib/ssh/sshd") if os.access(p, 1)), None
)
# Seconds.
SOON = 15


def pytest_collection_modifyitems(items):
    if SSHD is None or shutil.which("ssh-keygen") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents and "sshd" in getattr(item, "fixturenames", ()):
                item.add_marker(
                    pytest.mark.skip(reason="sshd is not installed: apt-get install openssh-server")
                )


def keygen(path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True, timeout=60
    )
    return path


@dataclass
class Server:
    """A running sshd."""

    port: int
    process: subprocess.Popen
    folder: Path
    log: Path

    @property
    def key(self):
        """Type and base64 of its host key, as in known_hosts."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    @property
    def authority(self):
        """Type and base64 of the key of its certificate's authority."""
        return " ".join((self.folder / "ca.pub").read_text().split()[:2])

    @property
    def known(self):
        """Its line for known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.key}\n"

    def below(self):
        """Number -> name of all its descendants."""
        return processes.below(self.process.pid)

    def cut(self):
        """Kill the processes of all connections, of which each may have two, but not the programs that they run."""
        for pid, name in self.below().items():
            if name.startswith("sshd"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def sshd(tmp_path):
    """sshd("name", *configuration lines): a Server with a new host key, which accepts the test's key.

    certify: names for a certificate of that key by a new authority.
    """
    running = []
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def start(name, *lines, certify=""):
        folder = tmp_path / name
        folder.mkdir()
        keygen(folder / "host_key")
        if certify:
            words = ["-s", keygen(folder / "ca"), "-I", name, "-h", "-n", certify, folder / "host_key.pub"]
            subprocess.run(["ssh-keygen", "-q", *words], check=True, timeout=60)
            lines = (*lines, f"HostCertificate {folder / 'host_key-cert.pub'}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        keys = folder / "authorized_keys"
        shutil.copy(tmp_path / "id.pub", keys)
        config = folder / "sshd_config"
        config.write_text(
            "\n".join(
                [
                    f"Port {port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {folder / 'host_key'}",
                    f"AuthorizedKeysFile {keys}",
                    "StrictModes no",
                    "UsePAM no",
                    "PermitRootLogin yes",
                    "PasswordAuthentication no",
                    "PidFile none",
                    "AcceptEnv none",
                    *lines,
                    "",
                ]
            )
        )
        log = folder / "sshd.log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        server = Server(port, process, folder, log)
        running.append(server)
        end = time.monotonic() + SOON
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return server
            if time.monotonic() > end or process.poll() is not None:
                pytest.skip(f"sshd does not start here: {log.read_text()[-300:]}")
            time.sleep(0.05)

    keygen(tmp_path / "id")
    yield start
    for server in running:
        below = server.below()
        server.process.kill()
        server.process.wait(SOON)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def wrapped(tmp_path):
    """wrapped("shell commands"): a configuration line for sshd() that runs them before every command."""

    def line(words):
        path = tmp_path / "wrapper"
        path.write_text(f'#!/bin/sh\n{words}\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
        path.chmod(0o755)
        return f"ForceCommand {path}"

    return line


@pytest.fixture
def lab(tmp_path, monkeypatch, fake_vmm):
    """A Lab with an empty home directory."""
    return Lab(tmp_path, monkeypatch, fake_vmm)


class Lab:
    """Target rows for the servers of a test, and the directory where their machines store files."""

    def __init__(self, path, monkeypatch, vmm):
        self.path = path
        self.home = path / "home"
        (self.home / ".ssh").mkdir(parents=True)
        # `directory` of the targets.
        self.there = path / "there"
        self.there.mkdir()
        self.known = path / "known_hosts"
        self.known.touch()
        self.messages = []
        self.kvm = path / "kvm"
        self.kvm.touch()
        self.vmm, self.mark = vmm
        monkeypatch.setenv("HOME", str(self.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        # A file instead of /dev/kvm, so that no test depends on this machine's.
        monkeypatch.setattr(remote, "_TRAITS", remote._TRAITS.replace("/dev/kvm", str(self.kvm)))

    def spec(self, server, **changes):
        row = {
            "name": "lab",
            "arch": {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
            "where": "ssh",
            "address": "127.0.0.1",
            "port": server.port if server else 1,
            "user": getpass.getuser(),
            "identity": str(self.path / "id"),
            "known_hosts": str(self.known),
            "directory": str(self.there),
            "connect": 10,
            "boot": 30,
        }
        return TargetSpec(**row | changes)

    def knows(self, *servers):
        """Write known_hosts with the keys of these servers only."""
        self.known.write_text("".join(server.known for server in servers))

    def host(self, spec):
        return SshHost(spec, ((1, self.vmm.read_bytes()),), self.path / "logs", self.messages.append)

    def left(self):
        """The names of files that a run has left on the machines."""
        return sorted(path.name for path in self.there.iterdir())

    def gone(self, seconds=SOON):
        """Whether everything is deleted there within seconds."""
        end = time.monotonic() + seconds
        while self.left() and time.monotonic() < end:
            time.sleep(0.05)
        return not self.left()
