"""The VMM of this machine, compiled, and a supervisor on pipes with deadlines."""

import contextlib
import importlib.util
import os
import platform
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from sysevent import settings, wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs

ABI = 1
DEADLINE = 10


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory):
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the VMM runs natively here only on x86-64 Linux")
    if not importlib.util.find_spec("ziglang"):
        pytest.skip("the ziglang wheel is not installed, which compiles the VMM")
    return msgspec.structs.replace(settings.from_environment(), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def program(own_cache):
    """The real VMM."""
    arch = ARCHITECTURES["x86_64"]
    return programs.vmm(arch, arch.abis[0], own_cache)


@pytest.fixture(scope="session")
def blind(own_cache, tmp_path_factory):
    """A VMM whose /dev/kvm can be opened and refuses every ioctl, and whose supervisor is impatient.

    So what a test sees depends neither on this machine's KVM nor on five seconds of patience.
    """
    changes = {
        r'"/dev/kvm"': '"/dev/null"',
        r"#define GRACE 4000\b": "#define GRACE 200",
        r"#define CONNECT_TIMEOUT 5000\b": "#define CONNECT_TIMEOUT 50",
    }
    sources = tmp_path_factory.mktemp("blind") / "vmm"
    shutil.copytree(programs.VMM, sources)
    for old, new in changes.items():
        places = 0
        for file in sources.glob("*.c"):
            text, count = re.subn(old, new, file.read_text())
            file.write_text(text)
            places += count
        assert places == 1, f"{old} is in {places} places of the VMM, and was in one"
    arch = ARCHITECTURES["x86_64"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "VMM", sources)
        return programs.vmm(arch, arch.abis[0], own_cache).path


class Vmm:
    """A VMM on pipes. What it does not do within DEADLINE, it does not do."""

    def __init__(self, command, log):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        self._reader = wire.FrameReader()
        self._frames = []
        self._sequence = 0

    def frame(self, deadline=DEADLINE):
        """The next frame it sends."""
        end = time.monotonic() + deadline
        while not self._frames:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, f"no frame within {deadline} s; it said: {self.said()}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"it ended with {self.process.wait(DEADLINE)} and said: {self.said()}"
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def request(self, body, abi=ABI):
        """Only send; the sequence number."""
        self._sequence += 1
        self.send(wire.pack(wire.Frame(wire.Kind.REQUEST, abi, self._sequence, body)))
        return self._sequence

    def reply(self, sequence, deadline=DEADLINE):
        frame = self.frame(deadline)
        assert (frame.kind, frame.sequence) == (wire.Kind.REPLY, sequence)
        return wire.unpack_reply(frame.body)

    def ask(self, *steps, body=None, abi=ABI, milliseconds=100):
        """The reply to these steps, or to this body."""
        whole = wire.pack_request(milliseconds, list(steps)) if body is None else body
        return self.reply(self.request(whole, abi))

    def workers(self):
        """The processes that it started."""
        own = str(self.process.pid)
        return [pid for pid in _pids() if _stat(pid)[1:2] == [own]]

    def said(self):
        return self.log.read_text(errors="replace")

    def end(self):
        """What comes of the end of its input."""
        self.process.stdin.close()
        return self.process.wait(DEADLINE)

    def close(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


def _pids():
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _stat(pid):
    """State and parent of a process; empty when it is no more."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def gone(pid):
    """Whether a process has ended, or does within the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if not _stat(pid) or _stat(pid)[0] == "Z":
            return True
        time.sleep(0.005)
    return False


@pytest.fixture
def start(tmp_path):
    """start(program, *arguments): a running VMM, gone after the test."""
    with contextlib.ExitStack() as stack:
        count = iter(range(100))

        def run(*command):
            vmm = Vmm(command, tmp_path / f"vmm-{next(count)}.log")
            stack.callback(vmm.close)
            return vmm

        yield run


@pytest.fixture
def serve(start):
    """serve(supervisor, worker): a supervisor that has said hello, with one worker of its own ABI."""

    def run(supervisor, worker):
        vmm = start(supervisor, "serve", f"{ABI}:{worker}")
        assert vmm.frame().kind == wire.Kind.HELLO
        return vmm

    return run


def step(op, body=b"", *, required=False):
    return wire.pack_step(op, body, required=required)


def sleep(milliseconds):
    return step(wire.Op.SLEEP, struct.pack("<I", milliseconds))


def open_path(path, flags=0):
    return step(wire.Op.OPEN, struct.pack("<I", flags) + str(path).encode())


@pytest.fixture
def steps():
    """Builders of steps."""

    class Steps:
        any = staticmethod(step)
        sleep = staticmethod(sleep)
        open = staticmethod(open_path)

    return Steps


@pytest.fixture
def kill():
    """Ends one process and waits for its end."""

    def end(pid):
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)

    return end


@pytest.fixture
def is_gone():
    return gone
