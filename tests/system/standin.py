"""A guest that plays a lab machine: Debian's kernel with KVM, a shell and an SSH server, reached over loopback.

What a lab machine of an architecture that nobody has at hand would do, it does, under TCG: the tests of SSH hosts
ask its /dev/kvm the whole suite. It has no SFTP server, as small machines have none, and lets in one key only.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sysevent.arches import Architecture
from sysevent.errors import GuestLost
from sysevent.images.kernel import resolve, vmlinux
from sysevent.images.rootfs import initramfs, userland
from sysevent.model import Progress
from sysevent.process import QemuProcess
from sysevent.qemu.argv import GuestConfig, InheritedFds, argv
from sysevent.qemu.console import Console
from sysevent.qemu.monitor import Monitor
from sysevent.settings import Settings

_READY = "sysevent: serving"
_SSH = 22
_MEMORY = 512  # MiB
_HEARTBEAT = 5  # seconds between two signs of life, and for one attempt to connect

# The address is what QEMU's user network gives to the first guest (docs/system/devices/net.rst).
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


class Served(msgspec.Struct, frozen=True):
    """Where it is, and what lets one in; the files are below the directory it was given."""

    arch: str
    address: str
    port: int
    user: str
    identity: Path  # the private key that it takes
    known_hosts: Path  # the line of its own key
    console: Path  # what it printed
    pid: int  # of its QEMU

    def target(self, name: str) -> str:
        """Its row of a target file."""
        return (
            f'[[target]]\nname = "{name}"\narch = "{self.arch}"\nwhere = "ssh"\naddress = "{self.address}"\n'
            f'port = {self.port}\nuser = "{self.user}"\nidentity = "{self.identity}"\n'
            f'known_hosts = "{self.known_hosts}"\n'
        )


@contextlib.contextmanager
def served(
    arch: Architecture,
    folder: Path,
    settings: Settings,
    progress: Progress,
    *,
    kernel: str = "debian:6.12",
    seconds: float = 180,
) -> Iterator[Served]:
    """A stand-in while the context lasts. GuestLost when it does not serve within seconds.

    From the thread that lives longest: see process.py.
    """
    folder.mkdir(parents=True, exist_ok=True)
    host, user = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    identity, known = folder / "identity", folder / "known_hosts"
    identity.touch(mode=0o600)
    identity.write_bytes(
        user.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    machine = _machine(arch, kernel, host, user, settings, progress)
    with contextlib.ExitStack() as closing:
        pairs = [socket.socketpair() for _ in range(2)]
        (ours, monitor), (line, console) = pairs
        try:
            lines = InheritedFds(monitor.fileno(), console.fileno(), 0)
            qemu = QemuProcess(
                argv(machine, lines), [monitor.fileno(), console.fileno()], folder / "qemu.log"
            )
        finally:
            monitor.close()
            console.close()
        closing.callback(qemu.close)
        talk = Monitor(ours)
        closing.callback(talk.close)
        printed = _Printed(Console(line, folder / "console.log"))
        closing.callback(printed.close)
        end = time.monotonic() + seconds
        port = 0

        def serves() -> bool:
            nonlocal port
            if _READY.encode() not in printed.text:
                return False
            port = port or _port(talk)
            return _greets(port)

        _await(serves, printed, qemu, arch, end, progress)
        known.write_text(f"[127.0.0.1]:{port} {_public(host)}\n")
        yield Served(arch.name, "127.0.0.1", port, "root", identity, known, folder / "console.log", qemu.pid)


def _machine(
    arch: Architecture,
    spec: str,
    host: Ed25519PrivateKey,
    user: Ed25519PrivateKey,
    settings: Settings,
    progress: Progress,
) -> GuestConfig:
    kernel = resolve.find(spec, arch, settings, progress)
    files = {name: text.encode() for name, text in _FILES.items()}
    files |= userland.shell(arch, settings, progress) | userland.server(arch, settings, progress)
    files["init"] = _INIT.encode()
    files["etc/host_key"] = _dropbear_key(host)
    files["root/.ssh/authorized_keys"] = f"{_public(user)}\n".encode()
    modules = ("virtio_pci", "virtio_net", *arch.kvm_modules)
    return GuestConfig(
        arch=arch,
        accel="tcg",
        cpu="",
        memory=_MEMORY,
        kernel=vmlinux.uncompressed(kernel, settings, progress),
        initramfs=initramfs.build(kernel, arch, files, modules, settings, progress),
        virtio=False,
        forwarded_port=_SSH,
    )


def _public(key: Ed25519PrivateKey) -> str:
    """As in authorized_keys and known_hosts."""
    openssh = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, openssh).decode()


def _dropbear_key(key: Ed25519PrivateKey) -> bytes:
    """As Dropbear keeps its own: src/ed25519.c, buf_put_ed25519_priv_key."""
    raw = serialization.Encoding.Raw
    secret = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    public = key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
    kind, both = b"ssh-ed25519", secret + public
    return struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(both)) + both


class _Printed:
    """A console that is read all the time: a guest whose serial line nobody reads stands still."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.text = b""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while self.console.open and not self._ended.wait(0.05):
            fresh = self.console.pump()
            self.text = (self.text + fresh)[-65536:]
            self.console.note(fresh)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        self.console.close()


def _await(
    done: Callable[[], bool],
    printed: _Printed,
    qemu: QemuProcess,
    arch: Architecture,
    end: float,
    progress: Progress,
) -> None:
    begin = time.monotonic()
    beat = begin + _HEARTBEAT
    while not done():
        now = time.monotonic()
        bad = printed.console.trouble()
        if bad or qemu.ended or now > end:
            what = (
                bad[1]
                if bad
                else qemu.how_it_ended()
                if qemu.ended
                else f"not ready after {now - begin:.0f} s"
            )
            raise GuestLost(f"the stand-in of {arch.name}: {what}\n{printed.console.tail()}")
        if now > beat:
            progress(f"the stand-in of {arch.name}: booting, {now - begin:.0f} s")
            beat = now + _HEARTBEAT
        time.sleep(0.05)


def _greets(port: int) -> bool:
    """Whether an SSH server answers: QEMU itself accepts every connection, and drops those that nobody wants."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_HEARTBEAT) as line:
            return line.recv(4, socket.MSG_WAITALL) == b"SSH-"
    except OSError:
        return False


def _port(talk: Monitor) -> int:
    """The port that QEMU has chosen, which it tells people only: net/slirp.c, usernet_info."""
    told = str(talk.execute("human-monitor-command", **{"command-line": "info usernet"}))
    found = re.search(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s", told)
    if found is None:
        raise GuestLost(f"QEMU does not say where it forwards: {told}")
    return int(found[1])
