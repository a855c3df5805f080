"""The life of one QEMU: started so that it cannot outlive us, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sysevent.errors import GuestLost, ToolMissing

_END = 10  # seconds to be gone after SIGKILL


def leashed(command: Sequence[str]) -> list[str]:
    """A command that the kernel kills when we die, whatever kills us.

    The signal comes when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG). setpriv, of util-linux,
    sets it without running Python in the child, and becomes the command by exec; QEMU's own
    -run-with exit-with-parent=on comes only with 10.2.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ToolMissing("setpriv is not installed: it is part of util-linux, of every Linux distribution")
    return [setpriv, "--pdeathsig=KILL", "--", *command]


def limited(command: Sequence[str], seconds: int) -> list[str]:
    """A command that outlives us, but not seconds: timeout(1) ends it then, and it dies with timeout(1).

    SIGTERM to that process is passed on to the command.
    """
    timeout = shutil.which("timeout")
    if timeout is None:
        raise ToolMissing("timeout is not installed: it is part of coreutils, of every Linux distribution")
    return [timeout, "--signal=KILL", str(seconds), *leashed(command)]


class QemuProcess:
    """A running QEMU. Start it from a thread that lives as long as it should: see below."""

    def __init__(self, command: Sequence[str], inherit: Sequence[int], log: Path, keep: int = 0) -> None:
        """ToolMissing when a program is not installed; what QEMU says goes to log.

        One that may be kept does not die with us, but after keep seconds at the latest.
        """
        qemu = shutil.which(command[0])
        if qemu is None:
            raise ToolMissing(
                f"{command[0]} is not installed; `sysevent doctor` gives the line that installs it"
            )
        self.command = [qemu, *command[1:]]
        self.log = log
        self._kept = False
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                limited(self.command, keep) if keep else leashed(self.command),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=tuple(inherit),
                # Ctrl-C is for us: we end our guests ourselves, in order.
                start_new_session=True,
            )
        try:
            self.pidfd = os.pidfd_open(self._process.pid)  # readable when it has ended
        except OSError as error:
            self._process.kill()
            self._process.wait(_END)
            raise GuestLost(f"QEMU cannot be watched: {error}") from error

    @property
    def pid(self) -> int:
        # setpriv has become QEMU by exec; of one that may be kept, timeout(1) stands for it.
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def how_it_ended(self) -> str:
        """In words: still running, exit code, or signal, with what it said last."""
        code = self._process.poll()
        if code is None:
            return "QEMU is running"
        said = self.log.read_text(errors="replace").strip().splitlines()
        words = f"; it said: {said[-1]}" if said else ""
        if code < 0:
            return f"QEMU was ended by {signal.Signals(-code).name}{words}"
        return f"QEMU ended with exit code {code}{words}"

    @property
    def crashed(self) -> bool:
        """It ended, and not because its machine stopped."""
        return self._process.poll() not in (None, 0)

    def abandon(self) -> int:
        """Let it live on when this is closed; its process id."""
        self._kept = True
        return self._process.pid

    def close(self) -> None:
        """Gone when this returns, unless it is kept."""
        if self._kept:
            # Nobody waits for it any more. Popen would warn of a process that it takes for forgotten.
            self._process.returncode = 0
            os.close(self.pidfd)
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(_END)
        with contextlib.suppress(OSError):
            os.close(self.pidfd)
