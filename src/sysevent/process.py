"""Commands that end for certain: prefixes for the argument vectors of child processes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Literal

from sysevent.errors import ToolMissing


def die_with_parent(
    command: Sequence[str], signal: Literal["KILL", "TERM"] = "KILL", privileges: Sequence[str] = ()
) -> list[str]:
    """A command that the kernel sends a signal, SIGKILL or SIGTERM, when this process ends, whatever ends it.

    The signal is sent when the *thread* that started the command ends (prctl(2), PR_SET_PDEATHSIG): start it
    from a thread that lives as long as the command should. setpriv, of util-linux, sets the signal without running
    Python in the child, and becomes the command by exec, with the same process id. QEMU's own
    -run-with exit-with-parent=on exists since 10.2 only.

    privileges: more words for setpriv, such as --no-new-privs.

    Raises ToolMissing if setpriv is not installed.
    """
    return [_installed("setpriv", "util-linux"), f"--pdeathsig={signal}", *privileges, "--", *command]


def with_time_limit(command: Sequence[str], seconds: int, privileges: Sequence[str] = ()) -> list[str]:
    """A command that survives this process, and is killed with SIGKILL after that many seconds.

    The child process is timeout(1), which starts the command, passes SIGTERM on to it and ends with its exit code.
    If timeout(1) is killed, the command dies with it. privileges: as for die_with_parent().

    Raises ToolMissing if timeout or setpriv is not installed.
    """
    timeout = _installed("timeout", "coreutils")
    return [timeout, "--signal=KILL", str(seconds), *die_with_parent(command, privileges=privileges)]


def _installed(program: str, package: str) -> str:
    """The program's path; ToolMissing if there is none on PATH."""
    path = shutil.which(program)
    if path is None:
        raise ToolMissing(f"{program} is not installed: it is part of {package}, of every Linux distribution")
    return path
