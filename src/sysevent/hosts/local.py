"""This machine as a Host: the VMM is a child process that uses its /dev/kvm."""

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
from sysevent.capped_log import CappedLog, PipedLog, last_lines_in
from sysevent.errors import GuestLost
from sysevent.hosts.base import ENDED, Failure
from sysevent.hosts.framed import FramedHost
from sysevent.hosts.running_kernel import Vmms
from sysevent.hosts.traits import check_kvm_access, check_traits
from sysevent.model import Progress
from sysevent.process import die_with_parent, executable_in_memory
from sysevent.targets.spec import TargetSpec

KVM = Path("/dev/kvm")
# Seconds for the VMM to start, on a busy machine.
_HELLO = 30
# Seconds for the VMM to accept data; then it is lost.
_SEND = 30
# Seconds to end after SIGKILL.
_END = 10
# Seconds for the last messages of a VMM that has ended to be in its log.
_LAST_WORDS = 0.2
# Bytes of the start, and of the end, of the log that are kept.
_LOG_PART = 1 << 20
# Last lines of the VMM's messages that are quoted when it is lost.
_TAIL = 5


class LocalHost(FramedHost):
    """A VMM as a child of this process. It and its workers form one process group, which ends with this process."""

    def __init__(self, spec: TargetSpec, vmms: Vmms, logs: Path, progress: Progress) -> None:
        super().__init__(spec.id, progress, min(_HELLO, spec.boot), "waiting for the VMM")
        self.log = logs / "vmm.log"
        self._spec = spec
        self._vmms = vmms
        # None before the start, and after the VMM has closed it.
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1

    @property
    def pid(self) -> int:
        """The number of the VMM's process and process group; 0 when it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """See hosts/base.py. Call it from the longest-living thread: the VMM ends with it, see process.py."""
        self.traits = dict(zip(("node", "kernel", "version", "machine"), os.uname()[1:], strict=True))
        check_traits(self._spec, self.traits)
        check_kvm_access(self._spec, _kvm(), getpass.getuser())
        self._create_folder(self.log.parent)
        ours, theirs = socket.socketpair()
        self._began = time.monotonic()
        with contextlib.ExitStack() as ending:
            ending.enter_context(theirs)
            log = CappedLog(self.log, _LOG_PART, _LOG_PART)
            self._note_log(log.failed)
            self._output = PipedLog(log)
            ending.callback(self._output.started)
            programs = []
            for _, vmm in self._vmms:
                programs.append(executable_in_memory(vmm))
                ending.callback(os.close, programs[-1])
            paths = [f"/proc/self/fd/{program}" for program in programs]
            workers = [f"{number}:{path}" for (number, _), path in zip(self._vmms, paths, strict=True)]
            command = die_with_parent([paths[0], "serve", *workers])
            # A new session: Ctrl-C does not reach the VMM, and the group can be killed as a whole.
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._output.child,
                pass_fds=programs,
                cwd="/",
                start_new_session=True,
            )
        self._line = ours
        self._pidfd = os.pidfd_open(self._process.pid)

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
                # The VMM may be blocked until we read what it has sent.
                select.select([self._line], [self._line], [], 1)
                self.listen()

    def failure(self) -> Failure | None:
        """See hosts/base.py."""
        return ENDED if self._ended else self._flood()

    def loss(self, what: str) -> GuestLost:
        """See hosts/base.py."""
        process = self._process
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0 if what.startswith("silent") else 1)
            self._output.wait(_LAST_WORDS)
            if process.returncode is not None:
                what = f"the VMM {_how(process.returncode)}"
        said = last_lines_in(self.log, _TAIL)
        shown = "\n".join([f"\nwhat the VMM said ({self.log}):", *said]) if said else ""
        return GuestLost(f"{self.name}: {what}{shown}")

    def close(self) -> None:
        """End the VMM and all its workers. Reports those that a KVM_RUN keeps alive."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is None:
            return
        group, self._process = self._process, None
        # Before wait(): until the process is reaped, its number cannot be reused.
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
                f"{self.name}: the processes {', '.join(map(str, left))} have not ended {_END} s after SIGKILL: they "
                "hang in this machine's KVM until it is rebooted"
            )


def _kvm() -> str:
    """The state of /dev/kvm as check_kvm_access() takes it."""
    if not KVM.exists():
        return "missing"
    if os.access(KVM, os.R_OK | os.W_OK):
        return "usable"
    found = KVM.stat()
    return f"mode {found.st_mode & 0o777:o}, owner {found.st_uid}, group {found.st_gid}"


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _alive(group: int) -> list[int]:
    """The numbers of a group's processes that still run; zombies do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in ("Z", "X"):
                found.append(int(path.parent.name))
    return found
