"""Faults of lab machines that are reached over SSH, and of the file that describes them."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from system import standin

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.errors import SyseventError
from sysevent.images.rootfs import userland
from trials import proc
from trials.catalogue import fault
from trials.trial import Trial

_ARM = ARCHITECTURES["arm64"]
_KEYS = """[[target]]
name = "lab"
arch = "arm64"
where = "ssh"
connect = 5
"""


def _silent(_: str) -> None:
    pass


def _described(trial: Trial, text: str) -> None:
    path = trial.folder / "lab.toml"
    path.write_text(text)
    trial.target = "lab"
    trial.options += ["--targets", str(path)]
    trial.kernel = ""


@fault("lab machine refuses", "Nothing listens on the port of a lab machine.", same=False)
def _refuses(trial: Trial, _chance: random.Random) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    _described(trial, f'{_KEYS}address = "127.0.0.1"\nport = {port}\n')


@fault(
    "lab machine unreachable",
    "The address of a lab machine is one that no machine has (RFC 5737).",
    same=False,
)
def _unreachable(trial: Trial, _chance: random.Random) -> None:
    _described(trial, f'{_KEYS}address = "192.0.2.1"\n')


@fault("lab machine silent", "A lab machine accepts connections, and sends nothing.", same=False, slow=True)
def _mute(trial: Trial, _chance: random.Random) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    trial.undo.append(server.close)
    _described(trial, f'{_KEYS}address = "127.0.0.1"\nport = {server.getsockname()[1]}\n')


@fault("target file with escapes", "Each string of a target file has terminal escapes.", same=False)
def _escapes(trial: Trial, chance: random.Random) -> None:
    lines = [line for line in _KEYS.splitlines() if "connect" not in line] + [
        f'{key} = "x"'
        for key in ("address", "user", "jump", "identity", "known_hosts", "directory", "kernel")
    ]
    keys = chance.sample(range(1, len(lines)), chance.randrange(1, len(lines)))
    for at in keys:
        lines[at] = lines[at][:-1] + '\\u001b]0;x\\u0007\\u001b[2J"'
    _described(trial, "\n".join(lines) + "\n")


@fault("target file with escapes in a key", "A key of a target file has terminal escapes.", same=False)
def _escaped_key(trial: Trial, _chance: random.Random) -> None:
    _described(trial, f'{_KEYS}address = "127.0.0.1"\n"\\u001b[2J\\u0007" = 1\n')


def _no_server() -> str:
    """Return why no machine with an SSH server can be booted here; "" if it can."""
    here = settings.from_environment(offline=True)
    if not shutil.which(_ARM.qemu):
        return f"{_ARM.qemu} is not installed"
    try:
        userland.shell(_ARM, here, _silent)
        userland.server(_ARM, here, _silent)
    except SyseventError as error:
        return str(error)
    return ""


def _lab(name: str, how: str, hurt: Callable[[int], None], *, same: bool = False, slow: bool = False) -> None:
    """Register a fault: hurt is called with the process ID of a lab machine while the run asks it."""

    @fault(name, how, same=same, slow=slow, obstacle=_no_server)
    def inject(trial: Trial, chance: random.Random) -> None:
        stack = ExitStack()
        trial.undo.append(stack.close)
        folder = trial.folder / "stand-in"
        shutil.rmtree(folder, ignore_errors=True)
        here = settings.from_environment(offline=True)
        machine = stack.enter_context(standin.booted(_ARM, folder, here, _silent))
        # Three attempts of as long are made to reach a machine that was lost.
        _described(trial, f"{machine.target('lab')}connect = 5\n")

        def during(trial: Trial) -> None:
            end = time.monotonic() + 20
            while time.monotonic() < end and not (trial.results / "run.jsonl").exists():
                time.sleep(0.005)
            time.sleep(chance.uniform(0.2, 1.5))
            hurt(machine.pid)

        trial.during.append(during)


def _for_3_s(pid: int) -> None:
    proc.send(pid, signal.SIGSTOP)
    time.sleep(3)
    proc.send(pid, signal.SIGCONT)


_lab(
    "lab machine without a fault",
    "A lab machine over SSH, with the kernel of the guests.",
    lambda pid: None,
    same=True,
)
_lab(
    "lab machine lost",
    "A lab machine is switched off while it is asked.",
    lambda pid: proc.send(pid, signal.SIGKILL),
)
_lab(
    "lab machine frozen",
    "A lab machine stops, and its connections stay.",
    lambda pid: proc.send(pid, signal.SIGSTOP),
    slow=True,
)
_lab("lab machine stopped for 3 s", "A lab machine stops for 3 s.", _for_3_s, same=True)
