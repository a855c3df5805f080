"""One QEMU process: started so that it cannot outlive us, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sysevent.capped_log import CappedLog, PipedLog, last_lines_in
from sysevent.errors import GuestLost, ToolMissing, of_this_machine
from sysevent.process import die_with_parent, with_time_limit

# Seconds to be gone after SIGKILL.
_KILL_TIMEOUT = 10
# Seconds for the last output of a process that has ended to be in its log.
_LAST_WORDS = 1
# Bytes of the start, and of the end, of the log that are kept.
_LOG_PART = 1 << 20


class QemuProcess:
    """A running QEMU. It dies with the thread that starts it: see sysevent.process.die_with_parent."""

    def __init__(
        self,
        command: Sequence[str],
        inherit: Sequence[int],
        log: Path,
        keep: int = 0,
        privileges: Sequence[str] = (),
    ) -> None:
        """Start command, which inherits these file descriptors, with its output and errors in log, which is capped.

        With keep == 0 it dies with this process. Otherwise it can be left running by abandon(), and is killed
        after keep seconds. privileges: words of setpriv(1), see confinement.py.

        Raises ToolMissing if a program is not installed, and GuestLost if the process cannot be started or watched.
        """
        qemu = shutil.which(command[0])
        if qemu is None:
            raise ToolMissing(
                f"{command[0]} is not installed; `sysevent doctor` gives the line that installs it"
            )
        self.command = [qemu, *command[1:]]
        self.log = log
        self._abandoned = False
        prefixed = (
            with_time_limit(self.command, keep, privileges)
            if keep
            else die_with_parent(self.command, privileges=privileges)
        )
        try:
            self._log = CappedLog(log, _LOG_PART, _LOG_PART)
            self._output = PipedLog(self._log)
            self._process = self._start(prefixed, inherit)
        except OSError as error:
            raise GuestLost(str(of_this_machine("QEMU cannot be started", error))) from error
        try:
            # Readable when the process has ended.
            self.pidfd = os.pidfd_open(self._process.pid)
        except OSError as error:
            self._process.kill()
            self._process.wait(_KILL_TIMEOUT)
            raise GuestLost(f"QEMU cannot be watched: {error}") from None

    def _start(self, command: Sequence[str], inherit: Sequence[int]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._output.child,
                stderr=self._output.child,
                pass_fds=tuple(inherit),
                # Ctrl-C is for this process, which ends its guests in order.
                start_new_session=True,
            )
        finally:
            self._output.started()

    @property
    def pid(self) -> int:
        """Process id of QEMU (setpriv becomes QEMU by exec), or of the timeout(1) around one that can be kept."""
        return self._process.pid

    @property
    def log_failure(self) -> str:
        """Why nothing is written to the log any more; "" as long as writing works."""
        return self._log.failed

    @property
    def ended(self) -> bool:
        """True if the process has ended."""
        return self._process.poll() is not None

    @property
    def crashed(self) -> bool:
        """True if the process has ended with a signal or an exit code other than 0."""
        return self._process.poll() not in (None, 0)

    def how_it_ended(self) -> str:
        """One sentence: that it is running, its exit code or its signal, with the last line of its log."""
        code = self._process.poll()
        if code is None:
            return "QEMU is running"
        self._output.wait(_LAST_WORDS)
        output = last_lines_in(self.log, 1)
        words = f"; it said: {output[-1]}" if output else ""
        if code < 0:
            return f"QEMU was ended by {signal.Signals(-code).name}{words}"
        return f"QEMU ended with exit code {code}{words}"

    def kill(self) -> None:
        """Send SIGKILL; does not wait."""
        self._process.kill()

    def abandon(self) -> int:
        """Let the process live on when this is closed; returns its process id."""
        self._abandoned = True
        return self._process.pid

    def close(self) -> None:
        """Kill the process and wait until it has ended; do nothing to an abandoned one."""
        if self._abandoned:
            # Without an exit code Popen warns, when it is collected, of a process that is still running.
            self._process.returncode = 0
            os.close(self.pidfd)
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(_KILL_TIMEOUT)
        self._output.wait(_LAST_WORDS)
        with contextlib.suppress(OSError):
            os.close(self.pidfd)
