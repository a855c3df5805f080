"""The system packages that a program comes in, and their installation.

Nothing is installed unless the user asked for it: otherwise the line to paste is shown.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence

from sysevent.arches import ARCHITECTURES
from sysevent.doctor import package_managers
from sysevent.doctor.package_managers import MANAGERS, Manager
from sysevent.errors import ToolMissing, UsageError
from sysevent.model import Progress

# Lines of a failed installation's output that are shown.
_TAIL = 20
# Where a machine's package manager may learn of its proxy; sudo drops them. All of them read the small ones.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def qemu_keys(archs: Iterable[str]) -> tuple[str, ...]:
    """The package keys of the QEMU of each architecture, without repetitions."""
    return tuple(dict.fromkeys(ARCHITECTURES[name].qemu_package for name in archs))


def package_names(manager: Manager, keys: Iterable[str], machine: str = "") -> tuple[str, ...]:
    """The manager's names of the packages of keys, without the keys that it has no package for.

    machine: as uname -m says it; "": this one.
    """
    here = machine or platform.machine()
    return tuple(dict.fromkeys(name for key in keys for name in manager.package(key, here).split()))


def install_line(keys: Sequence[str], manager: Manager | None, *, root: bool) -> str:
    """The line that installs the packages of keys, with sudo unless root; without a manager, a line for each."""
    if manager is None:
        return "\n".join(f"{one.name:8}{install_line(keys, one, root=root)}" for one in MANAGERS)
    names = package_names(manager, keys)
    if not names:
        return f"({manager.name} has no package of {', '.join(keys)} that we know of)"
    line = manager.paste.format(packages=" ".join(names))
    return line if root else " && ".join(f"sudo {part}" for part in line.split(" && "))


def privileged(command: Sequence[str], *, root: bool, terminal: bool) -> tuple[str, ...]:
    """The command as root, in an environment in which it asks no question.

    root: this process is root, so sudo is left out. terminal: sudo can ask for a password. sudo drops the
    environment, so env is what it starts. Proxies can have passwords, which env would show to all users.
    """
    proxies = ",".join(name for name in _PROXIES if os.environ.get(name))
    kept = (f"--preserve-env={proxies}",) if proxies else ()
    sudo = () if root else ("sudo", *kept) if terminal else ("sudo", "-n", *kept)
    return (*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *command)


class Installer:
    """The package manager of a machine, as this process can use it."""

    def __init__(self, manager: Manager | None, *, root: bool) -> None:
        self._manager = manager
        self._root = root

    def missing_qemu(self, archs: Iterable[str]) -> tuple[str, ...]:
        """The architectures of archs whose QEMU is not on PATH, in the order of ARCHITECTURES."""
        asked = set(archs)
        return tuple(
            name for name, arch in ARCHITECTURES.items() if name in asked and not shutil.which(arch.qemu)
        )

    def line(self, keys: Sequence[str]) -> str:
        """The line to paste that installs the packages of keys; one line for each manager if it is not known."""
        return install_line(keys, self._manager, root=self._root)

    def install(self, keys: Sequence[str], progress: Progress) -> None:
        """Install the packages of keys, with sudo unless root.

        Raises UsageError if no known manager has them, and ToolMissing with the manager's output if it fails.
        """
        manager = self._manager
        line = self.line(keys)
        if manager is None:
            raise UsageError(
                f"--install-deps knows {', '.join(one.name for one in MANAGERS)}, and cannot tell which of them this "
                f"machine uses; install by hand:\n{line}"
            )
        names = package_names(manager, keys)
        if not names:
            raise UsageError(f"--install-deps: {line}")
        if not self._root and not shutil.which("sudo"):
            raise ToolMissing(f"--install-deps needs root, and sudo is not installed; as root: {line}")
        if manager.refresh:
            progress(f"{manager.name}: refreshing the package lists")
            # One source that cannot be reached may not matter: the installation shows whether it does.
            self._run(manager.refresh)
        progress(f"{manager.name}: installing {' '.join(names)}")
        code, output = self._run((*manager.install, *names))
        if code:
            tail = "\n  ".join(output.strip().splitlines()[-_TAIL:])
            raise ToolMissing(
                f"{manager.name} could not install {' '.join(names)} (exit code {code}):\n  {tail}"
            )

    def _run(self, command: Sequence[str]) -> tuple[int, str]:
        """Exit code of the command as root, and its output, both streams."""
        terminal = sys.stdin is not None and sys.stdin.isatty()
        argv = privileged(command, root=self._root, terminal=terminal)
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise ToolMissing(f"{shlex.join(argv)}: {error}") from error
        return done.returncode, done.stdout


def this_machine() -> Installer:
    """The installer of this machine, for this process's user."""
    return Installer(package_managers.this_machine(), root=os.geteuid() == 0)
