"""Fixtures: a guest whose QEMU is a short script, and a fake VMM."""

import contextlib
import sys
import textwrap

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.hosts.qemu import guest as qemu_guest
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.model import KernelImage
from sysevent.qemu.argv import GuestConfig
from sysevent.targets.spec import TargetSpec

# The start of every script: the inherited sockets, and functions that use them.
PROLOGUE = r'''#!{python} -SE
import json, os, re, select, signal, socket, struct, sys, time, zlib

fds = dict(re.findall(r"socket,id=(\w+),fd=(\d+)", " ".join(sys.argv)))
monitor, console = (socket.socket(fileno=int(fds[name])) for name in ("monitor", "console"))
channel = socket.socket(fileno=int(fds["channel"])) if "channel" in fds else None

key = b"SEV2".ljust(16, b"\0")

def frame(kind, sequence, body=b"", abi=1):
    head = key + struct.pack("<HHII", kind, abi, sequence, len(body))
    head += struct.pack("<I", zlib.crc32(head))
    return head + body + struct.pack("<I", zlib.crc32(head + body))

def hello(sequence=0, version=5):
    body = struct.pack("<II65s65s", version, 1, b"6.12.1-stub", b"x86_64") + b"build"
    return frame(1, sequence, body)

def greet(line):
    """Say HELLO, take the key, and say HELLO with it."""
    line.sendall(hello())
    line.sendall(hello(request(line)[2]))

def reply(sequence, state=0, body=b""):
    return frame(3, sequence, struct.pack("<HHi32x", state, 0, 0) + body)

def request(line):
    """Kind, ABI, sequence and body of the next frame. The body of a PING is the key of all further ones."""
    global key

    def take(count):
        data = line.recv(count, socket.MSG_WAITALL)
        if len(data) < count:
            sys.exit(0)
        return data

    _, kind, abi, sequence, length, _ = struct.unpack("<16sHHIII", take(32))
    body = take(length + 4)[:-4]
    if kind == 5:
        key = body
    return kind, abi, sequence, body

def qmp(said):
    monitor.sendall(json.dumps(said).encode() + b"\r\n")

def stopped(reason):
    qmp({{"event": "SHUTDOWN", "data": {{"guest": True, "reason": reason}}, "timestamp": {{}}}})

def forever():
    while True:
        time.sleep(60)

qmp({{"QMP": {{"version": {{}}, "capabilities": []}}}})
monitor.recv(1000)
qmp({{"return": {{}}, "id": 1}})
'''


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """stub(script): installs a script as qemu-system-x86_64 on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()

    def write(script):
        path = tmp_path / "bin" / "qemu-system-x86_64"
        path.write_text(PROLOGUE.format(python=sys.executable) + textwrap.dedent(script))
        path.chmod(0o755)

    return write


class RecordedProgress:
    """A Progress that keeps its messages."""

    def __init__(self):
        self.messages = []

    def __call__(self, text):
        self.messages.append(text)


@pytest.fixture
def start(stub, tmp_path, monkeypatch):
    """start(script): a started guest under such a QEMU; options are keys of the target."""
    monkeypatch.setattr(qemu_guest, "_LAST_MESSAGES", 0.1)
    running = []

    def run(script, snapshot=None, debug=False, **options):
        stub(script)
        spec = TargetSpec(**{"name": "stub", "arch": "x86_64", "where": "tcg", "boot": 5} | options)
        kernel = KernelImage("debian:6.12", "x86_64", "6.12.1", "", tmp_path / "bzImage", None)
        config = GuestConfig(
            arch=ARCHITECTURES["x86_64"],
            accel="tcg",
            cpu="",
            memory=64,
            kernel=kernel.image,
            initramfs=tmp_path / "initramfs",
            virtio=spec.channel == "virtio",
            debug=debug,
        )
        guest = QemuGuest(
            Bundle(spec, kernel, config, "key"), tmp_path / "logs", RecordedProgress(), snapshot=snapshot
        )
        running.append(guest)
        guest.start()
        return guest

    yield run
    for guest in running:
        guest.close()


# A fake VMM. It answers every step of every request with 0. The first SLEEP of a second or more creates the mark file
# and hangs.
VMM = r"""#!{python} -SE
import os, struct, sys, time, zlib

key = b"SEV2".ljust(16, b"\0")

def frame(kind, sequence, body=b""):
    head = key + struct.pack("<HHII", kind, 1, sequence, len(body))
    head += struct.pack("<I", zlib.crc32(head))
    os.write(1, head + body + struct.pack("<I", zlib.crc32(head + body)))

def hello(sequence):
    names = os.uname()
    names = struct.pack("<II65s65s", 5, 1, names.release.encode(), names.machine.encode())
    frame(1, sequence, names + b"build")

def take(count):
    data = b""
    while len(data) < count:
        piece = os.read(0, count - len(data))
        if not piece:
            sys.exit(1)
        data += piece
    return data

print("the VMM of the test", file=sys.stderr, flush=True)
hello(0)
while True:
    _, kind, abi, sequence, length, _ = struct.unpack("<16sHHIII", take(32))
    body = take(length + 4)[:-4]
    if kind == 5:
        key = body
        hello(sequence)
    if kind == 4:
        sys.exit(0)
    if kind != 2:
        continue
    at, results, (_, count) = 8, bytearray(), struct.unpack_from("<II", body)
    for _ in range(count):
        op, _, size = struct.unpack_from("<HHI", body, at)
        if op == 10 and struct.unpack_from("<I", body, at + 8)[0] >= 1000 and not os.path.exists({mark!r}):
            open({mark!r}, "w").close()
            time.sleep(3600)
        at += 8 + size
        results += struct.pack("<HHIii", op, 0, 0, 0, 0)
    frame(3, sequence, struct.pack("<HHi32x", 0, count, 0) + results)
"""


@pytest.fixture
def fake_vmm(tmp_path):
    """The paths of a program that answers like the VMM, and of the mark file that it creates when it hangs."""
    path, mark = tmp_path / "vmm", tmp_path / "mark"
    path.write_text(VMM.format(python=sys.executable, mark=str(mark)))
    path.chmod(0o755)
    return path, mark


@pytest.fixture
def closing():
    """closing(host): returns the host, and closes it after the test."""
    with contextlib.ExitStack() as stack:

        def add(host):
            stack.callback(host.close)
            return host

        yield add
