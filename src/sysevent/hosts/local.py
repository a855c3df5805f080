"""This machine itself: the VMM as a child process, on its own /dev/kvm, whatever that does to it."""

from __future__ import annotations

import contextlib
import getpass
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

from sysevent import wire
from sysevent.errors import GuestLost
from sysevent.hosts import identity
from sysevent.hosts.base import Others
from sysevent.hosts.channel import Conversation
from sysevent.hosts.running import Vmms
from sysevent.model import Progress
from sysevent.process import die_with_parent
from sysevent.targets.spec import TargetSpec
from sysevent.text import last_lines

KVM = Path("/dev/kvm")
_HELLO = 30  # seconds for a process of 20 KB to start on a loaded machine
_SEND = 30  # seconds; a VMM that takes nothing for so long is lost
_END = 10  # seconds to be gone after SIGKILL
_TAIL = 5  # lines of what it said last


class LocalHost(Conversation):
    """A VMM below this process. It and its workers are one process group, which dies with us."""

    def __init__(
        self,
        spec: TargetSpec,
        vmms: Vmms,
        logs: Path,
        progress: Progress,
        others: Others | None = None,
    ) -> None:
        super().__init__(spec.id, progress, others)
        self.log = logs / "vmm.log"
        self._spec = spec
        self._vmms = vmms
        self._frames = wire.FrameReader()
        self._line: socket.socket | None = None  # None: not started, or the VMM has closed it
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1

    @property
    def pid(self) -> int:
        """Of the VMM, and of its process group; 0 when there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """See hosts/base.py. From the thread that lives longest: see process.py."""
        self.traits = dict(zip(("node", "kernel", "version", "machine"), os.uname()[1:], strict=True))
        identity.check(self._spec, self.traits)
        identity.check_kvm(self._spec, _kvm(), getpass.getuser())
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = die_with_parent(
            [str(self._vmms[0][1]), "serve", *(f"{number}:{path}" for number, path in self._vmms)]
        )
        ours, theirs = socket.socketpair()
        self._began = time.monotonic()
        with theirs, self.log.open("wb") as said:
            # A session of its own: Ctrl-C is for us, and the group can be killed as one.
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=said,
                cwd="/",
                start_new_session=True,
            )
        self._line = ours
        self._pidfd = os.pidfd_open(self._process.pid)

    def hello(self) -> wire.Hello:
        """See hosts/base.py."""
        return self._greeting(min(_HELLO, self._spec.boot), "waiting for the VMM")

    def sources(self) -> list[int]:
        """See hosts/base.py."""
        watched = [self._line.fileno()] if self._line is not None else []
        return watched if self._ended else [*watched, self._pidfd]

    @property
    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _take(self) -> tuple[list[wire.Frame], bool]:
        if self._line is None:
            return [], False
        try:
            data = self._line.recv(262144, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return [], False
        except ConnectionError:
            data = b""
        if not data:
            self._line.close()
            self._line = None
        frames = self._frames.feed(data)
        self._frames.non_frame_bytes.clear()
        return frames, bool(data)

    def _put(self, data: bytes) -> None:
        rest, end = memoryview(data), time.monotonic() + _SEND
        while rest:
            if self._line is None:
                raise BrokenPipeError("the VMM has ended")
            try:
                rest = rest[self._line.send(rest, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(f"the VMM took nothing for {_SEND} s") from None
                # It may itself wait until we take what it has to say.
                select.select([self._line], [self._line], [], 1)
                self.listen()

    def _trouble(self) -> str | None:
        return "" if self._ended else None

    def _lost(self, what: str) -> GuestLost:
        process = self._process
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0 if what.startswith("silent") else 1)
            if process.returncode is not None:
                what = f"the VMM {_how(process.returncode)}"
        said = last_lines(self.log.read_text(errors="replace").strip(), _TAIL)
        shown = "\n".join([f"\nwhat the VMM said ({self.log}):", *said]) if said else ""
        return GuestLost(f"{self.name}: {what}{shown}")

    def close(self) -> None:
        """The VMM and all its workers are gone, those in a KVM_RUN that never returns as well."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is None:
            return
        group, self._process = self._process, None
        # Before it is reaped: until then nobody else can have this number.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            group.wait(_END)
        os.close(self._pidfd)
        end = time.monotonic() + _END
        while (left := _alive(group.pid)) and time.monotonic() < end:
            time.sleep(0.01)
        if left:
            self._progress(
                f"{self.name}: {', '.join(map(str, left))} did not die of SIGKILL within {_END} s: this KVM keeps "
                "them, and only a reboot of this machine will end them"
            )


def _kvm() -> str:
    """As identity.check_kvm wants it."""
    if not KVM.exists():
        return "missing"
    if os.access(KVM, os.R_OK | os.W_OK):
        return "usable"
    found = KVM.stat()
    return f"mode {found.st_mode & 0o777:o}, owner {found.st_uid}, group {found.st_gid}"


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _alive(group: int) -> list[int]:
    """The processes of a group that still run; the dead that wait for their parent do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in ("Z", "X"):
                found.append(int(path.parent.name))
    return found
