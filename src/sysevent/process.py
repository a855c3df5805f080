"""Child processes: commands that end for certain, and programs that are run from memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Literal

from sysevent.errors import ToolMissing

# memfd_create(2), MFD_EXEC: needed since Linux 6.3 where vm.memfd_noexec is 1, and unknown before.
_MFD_EXEC = 0x10


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


def executable_in_memory(content: bytes) -> int:
    """Return the file descriptor of an executable file with this content, which only this process can reach. OSError.

    A child that inherits it can run /proc/self/fd/N: exactly these bytes, whatever happens to files on disk.
    """
    try:
        memory = os.memfd_create("sysevent: a program", _MFD_EXEC)
    except OSError:
        memory = os.memfd_create("sysevent: a program", 0)
    with os.fdopen(os.dup(memory), "wb") as file:
        file.write(content)
    return memory


def _installed(program: str, package: str) -> str:
    """The program's path; ToolMissing if there is none on PATH."""
    path = shutil.which(program)
    if path is None:
        raise ToolMissing(f"{program} is not installed: it is part of {package}, of every Linux distribution")
    return path
