"""The VMM, compiled for this machine, and a supervisor on pipes with deadlines."""

import contextlib
import importlib.util
import os
import platform
import select
import signal
import struct
import subprocess
import sys
import time

import msgspec
import pytest
from processes import has_ended, pids, stat
from vmm_sources import changed

from sysevent import settings, wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs

# Number of x86_64's native ABI on the wire.
ABI = 1
# Seconds after which a test fails that waits for the VMM.
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
    """The real VMM, built as for a guest."""
    arch = ARCHITECTURES["x86_64"]
    built = programs.vmm(arch, arch.abis[0], own_cache)
    # Hosts copy it; only these tests run it where it is.
    built.path.chmod(0o755)
    return built


@pytest.fixture(scope="session")
def blind(own_cache, tmp_path_factory):
    """A VMM that uses /dev/null for /dev/kvm, which refuses every ioctl, and whose supervisor waits less long.

    What a test sees then does not depend on this machine's KVM, and it need not wait for seconds.
    """
    changes = {
        r'"/dev/kvm"': '"/dev/null"',
        r"#define GRACE 4000\b": "#define GRACE 200",
        r"#define CONNECT_TIMEOUT 5000\b": "#define CONNECT_TIMEOUT 50",
    }
    return changed(own_cache, tmp_path_factory.mktemp("blind"), changes)


@pytest.fixture(scope="session")
def logging(own_cache, tmp_path_factory):
    """A VMM that needs no KVM, and the folder where it looks for kmsg and tainted."""
    folder = tmp_path_factory.mktemp("logging")
    changes = {
        r'"/dev/kvm"': '"/dev/null"',
        r'"/dev/kmsg"': f'"{folder}/kmsg"',
        r'"/proc/sys/kernel/tainted"': f'"{folder}/tainted"',
    }
    return changed(own_cache, folder, changes), folder


class Vmm:
    """A running VMM, on pipes. What takes longer than DEADLINE fails the test."""

    def __init__(self, command, log):
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        self._reader = wire.FrameReader()
        self._frames = []
        self.key = wire.NO_KEY
        self._sequence = 0

    def frame(self, deadline=DEADLINE):
        """The next frame from the VMM."""
        end = time.monotonic() + deadline
        while not self._frames:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, f"no frame within {deadline} s; its errors: {self.errors()}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"it ended with {self.process.wait(DEADLINE)}; its errors: {self.errors()}"
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def request(self, body, abi=ABI):
        """Send a request with this body; returns its sequence number."""
        self._sequence += 1
        self.send(self.pack(wire.Frame(wire.Kind.REQUEST, abi, self._sequence, body)))
        return self._sequence

    def pack(self, frame):
        """The bytes of a frame with the key that the VMM has."""
        return wire.pack(frame, self.key)

    def give_key(self):
        """Send a PING with a new key; returns the frame that answers it."""
        self.key = self._reader.key = wire.new_key()
        self.send(wire.ping(self.key))
        return self.frame()

    def reply(self, sequence, deadline=DEADLINE):
        """The next frame, which must be the reply to that request."""
        frame = self.frame(deadline)
        assert (frame.kind, frame.sequence) == (wire.Kind.REPLY, sequence)
        return wire.unpack_reply(frame.body)

    def ask(self, *steps, body=None, abi=ABI, milliseconds=100):
        """Send a request with these steps, or with this body, and return its reply."""
        whole = wire.pack_request(milliseconds, list(steps)) if body is None else body
        return self.reply(self.request(whole, abi))

    def workers(self):
        """The ids of the VMM's child processes."""
        own = str(self.process.pid)
        return [pid for pid in pids() if stat(pid)[1:2] == [own]]

    def errors(self):
        """What the VMM has written to its standard error."""
        return self.log.read_text(errors="replace")

    def end(self):
        """Close the VMM's input; returns its exit code."""
        self.process.stdin.close()
        return self.process.wait(DEADLINE)

    def close(self):
        """Kill the VMM."""
        self.process.kill()
        self.process.wait(DEADLINE)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    """start(program, *arguments): a running VMM, killed after the test."""
    with contextlib.ExitStack() as stack:
        count = iter(range(100))

        def run(*command):
            vmm = Vmm(command, tmp_path / f"vmm-{next(count)}.log")
            stack.callback(vmm.close)
            return vmm

        yield run


@pytest.fixture
def serve(start):
    """serve(supervisor, worker): a supervisor that has sent HELLO, with one worker of its own ABI."""

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
    """Functions that pack steps: any(op, body), sleep(milliseconds), open(path, flags)."""

    class Steps:
        any = staticmethod(step)
        sleep = staticmethod(sleep)
        open = staticmethod(open_path)

    return Steps


@pytest.fixture
def kill():
    """kill(pid): send SIGKILL to one process, and wait until it has ended."""

    def end(pid):
        os.kill(pid, signal.SIGKILL)
        assert has_ended(pid, DEADLINE)

    return end
