"""A stand-in for a lab machine: a QEMU guest with Debian's kernel, KVM, a shell and an SSH server, under TCG.

With it the tests of SSH hosts run the whole suite on each architecture without such a machine. It is reached over
loopback, accepts one key only, and has no SFTP server, because many small machines have none.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sysevent.arches import Architecture
from sysevent.errors import GuestLost
from sysevent.images.kernel import resolve, vmlinux
from sysevent.images.rootfs import initramfs, userland
from sysevent.model import Progress
from sysevent.qemu import cpu as cpu_model
from sysevent.qemu.argv import GuestConfig, InheritedFds, argv
from sysevent.qemu.console import Console
from sysevent.qemu.monitor import Monitor
from sysevent.qemu.process import QemuProcess
from sysevent.settings import Settings

# What init prints when it has started the SSH server.
_READY = "sysevent: serving"
_SSH_PORT = 22
_MEMORY = 512  # MiB
# Seconds between two messages while it boots.
_HEARTBEAT = 5
# Seconds for one attempt to connect.
_CONNECT_TIMEOUT = 5
# Seconds between two looks at a guest that boots.
_POLL = 0.05
# Bytes of console output in which _READY is searched.
_OUTPUT_MAX = 1 << 16

# The address is the one that QEMU's user network gives to the first guest (docs/system/devices/net.rst).
_INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /tmp /run
mount -t devpts devpts /dev/pts
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=1777 tmp /tmp
for module in /modules/*; do insmod "$module" || echo "sysevent: $module does not load"; done
hostname stand-in
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
dropbear -F -E -s -j -k -r /etc/host_key &
echo "{_READY}"
while :; do wait; sleep 1; done
"""

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": "/bin/sh\n",
}


class StandIn(msgspec.Struct, frozen=True):
    """A stand-in that runs: its address, and what a client needs to log in."""

    arch: str
    address: str
    port: int
    user: str
    # The private key that it accepts.
    identity: Path
    # A file with its host key.
    known_hosts: Path
    # The log of its console.
    console: Path
    # Process id of its QEMU.
    pid: int

    def target(self, name: str) -> str:
        """The row of a target file that describes it under that name."""
        return (
            f'[[target]]\nname = "{name}"\narch = "{self.arch}"\nwhere = "ssh"\naddress = "{self.address}"\n'
            f'port = {self.port}\nuser = "{self.user}"\nidentity = "{self.identity}"\n'
            f'known_hosts = "{self.known_hosts}"\n'
        )


@contextlib.contextmanager
def booted(
    arch: Architecture,
    folder: Path,
    settings: Settings,
    progress: Progress,
    *,
    kernel: str = "debian:6.12",
    seconds: float = 180,
) -> Iterator[StandIn]:
    """A stand-in that accepts connections, while the context lasts; its files are in folder.

    Raises GuestLost if it does not accept connections within that time. Its QEMU dies with the thread that enters the
    context: see sysevent/process.py.
    """
    folder.mkdir(parents=True, exist_ok=True)
    host_key, user_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    machine = _machine(arch, kernel, host_key, user_key, settings, progress)
    with contextlib.ExitStack() as closing:
        monitor_end, monitor_end_of_qemu = socket.socketpair()
        console_end, console_end_of_qemu = socket.socketpair()
        with monitor_end_of_qemu, console_end_of_qemu:
            lines = InheritedFds(monitor_end_of_qemu.fileno(), console_end_of_qemu.fileno(), 0)
            inherit = [lines.monitor, lines.console]
            qemu = QemuProcess(argv(machine, lines), inherit, folder / "qemu.log")
        closing.callback(qemu.close)
        monitor = Monitor(monitor_end)
        closing.callback(monitor.close)
        output = _Output(Console(console_end, folder / "console.log"))
        closing.callback(output.close)
        port = _wait_for_server(arch, qemu, monitor, output, seconds, progress)
        yield StandIn(
            arch=arch.name,
            address="127.0.0.1",
            port=port,
            user="root",
            identity=_identity(folder / "identity", user_key),
            known_hosts=_known_hosts(folder / "known_hosts", port, host_key),
            console=folder / "console.log",
            pid=qemu.pid,
        )


def _identity(path: Path, key: Ed25519PrivateKey) -> Path:
    """Write a private key as ssh(1) wants it: not readable for others."""
    path.touch(mode=0o600)
    encoding, format_ = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    path.write_bytes(key.private_bytes(encoding, format_, serialization.NoEncryption()))
    return path


def _known_hosts(path: Path, port: int, key: Ed25519PrivateKey) -> Path:
    """Write a file of known hosts with one line."""
    path.write_text(f"[127.0.0.1]:{port} {_public(key)}\n")
    return path


def _machine(
    arch: Architecture,
    spec: str,
    host_key: Ed25519PrivateKey,
    user_key: Ed25519PrivateKey,
    settings: Settings,
    progress: Progress,
) -> GuestConfig:
    """The machine to boot: a kernel, and an initramfs with the shell, the server and both keys."""
    kernel = resolve.find(spec, arch, settings, progress)
    files = {name: text.encode() for name, text in _FILES.items()}
    files |= userland.shell(arch, settings, progress) | userland.server(arch, settings, progress)
    files["init"] = _INIT.encode()
    files["etc/host_key"] = _dropbear_key(host_key)
    files["root/.ssh/authorized_keys"] = f"{_public(user_key)}\n".encode()
    modules = ("virtio_pci", "virtio_net", *arch.kvm_modules)
    return GuestConfig(
        arch=arch,
        accel="tcg",
        # As guests have it, so that the same claims apply.
        cpu=cpu_model.model(arch, "tcg", ""),
        memory=_MEMORY,
        kernel=vmlinux.kernel_file(kernel, settings, progress),
        initramfs=initramfs.build(kernel, arch, files, modules, settings, progress),
        virtio=False,
        forwarded_port=_SSH_PORT,
    )


def _public(key: Ed25519PrivateKey) -> str:
    """The public key in the format of authorized_keys and known_hosts."""
    openssh = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, openssh).decode()


def _dropbear_key(key: Ed25519PrivateKey) -> bytes:
    """The key in the format of Dropbear's key files: src/ed25519.c, buf_put_ed25519_priv_key."""
    raw = serialization.Encoding.Raw
    secret = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    public = key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
    kind, both = b"ssh-ed25519", secret + public
    return struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(both)) + both


class _Output:
    """The output of a console, read by a thread: a guest stops while its serial line is full."""

    def __init__(self, console: Console) -> None:
        self.console = console
        # The last _OUTPUT_MAX bytes.
        self.text = b""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while self.console.open and not self._closing.wait(_POLL):
            fresh = self.console.pump()
            self.text = (self.text + fresh)[-_OUTPUT_MAX:]
            self.console.note(fresh)

    def close(self) -> None:
        """End the thread and close the console."""
        self._closing.set()
        self._thread.join(10)
        self.console.close()


def _wait_for_server(
    arch: Architecture,
    qemu: QemuProcess,
    monitor: Monitor,
    output: _Output,
    seconds: float,
    progress: Progress,
) -> int:
    """Wait until the SSH server answers; returns its port on this machine. GuestLost if the time is over before."""
    name = f"the stand-in of {arch.name}"
    begin = time.monotonic()
    beat = begin + _HEARTBEAT
    port = 0
    while True:
        if _READY.encode() in output.text:
            port = port or _forwarded_port(monitor)
            if _is_ssh_server(port):
                return port
        now = time.monotonic()
        reason = _failure(qemu, output)
        if not reason and now > begin + seconds:
            reason = f"not ready after {now - begin:.0f} s"
        if reason:
            raise GuestLost(f"{name}: {reason}\n{output.console.tail()}")
        if now > beat:
            progress(f"{name}: booting, {now - begin:.0f} s")
            beat = now + _HEARTBEAT
        time.sleep(_POLL)


def _failure(qemu: QemuProcess, output: _Output) -> str:
    """Why the guest cannot get ready any more; empty while it can."""
    if trouble := output.console.trouble():
        return trouble[1]
    return qemu.how_it_ended() if qemu.ended else ""


def _is_ssh_server(port: int) -> bool:
    """True if an SSH server answers there. QEMU itself accepts every connection, and closes those without a server."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_TIMEOUT) as connection:
            return connection.recv(4, socket.MSG_WAITALL) == b"SSH-"
    except OSError:
        return False


def _forwarded_port(monitor: Monitor) -> int:
    """The port that QEMU has chosen, which only its command for people shows: net/slirp.c, usernet_info."""
    answer = str(monitor.execute("human-monitor-command", **{"command-line": "info usernet"}))
    found = re.search(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s", answer)
    if found is None:
        raise GuestLost(f"QEMU does not report the port that it forwards: {answer}")
    return int(found[1])
