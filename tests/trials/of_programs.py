"""Faults of QEMU's program: missing, another one, or one that misbehaves. A script stands in for it."""

from __future__ import annotations

import random
import shutil

from trials.catalogue import fault
from trials.trial import Trial

_QEMU = "qemu-system-aarch64"
# A shell function that calls the real QEMU with each of its words changed by sed.
_CHANGED = """
for word; do
    shift
    set -- "$@" "$(printf '%s' "$word" | sed "$CHANGE")"
done
exec $QEMU "$@"
"""


def _program(name: str, how: str, script: str, *, same: bool = False, slow: bool = False) -> None:
    """Register a fault: a shell script in the place of QEMU. $QEMU in it is the real one."""

    @fault(name, how, same=same, slow=slow)
    def inject(trial: Trial, chance: random.Random) -> None:
        shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)
        path = trial.bin / _QEMU
        path.write_text(f"#!/bin/sh\nQEMU={shutil.which(_QEMU)}\n{script}\n")
        path.chmod(0o755)


_program(
    "QEMU refuses", "QEMU prints an error and ends with exit code 1.", "echo 'not supported' >&2; exit 1"
)
_program("QEMU ends well", "QEMU ends at once with exit code 0.", "exit 0")
_program("QEMU aborts", "QEMU ends at once with SIGABRT.", "kill -ABRT $$")
_program("QEMU is another program", "QEMU's program prints its arguments and ends.", 'echo "$@"')
_program("QEMU hangs", "QEMU's program sleeps, and says nothing.", "exec sleep 1000", slow=True)
_program(
    "QEMU prints escapes", "QEMU's error has terminal escapes.", "printf '\\033]0;x\\007\\033[2J' >&2; exit 1"
)
_program("QEMU floods its log", "QEMU prints 300 MB and ends.", "head -c 300000000 /dev/zero; exit 1")
_program(
    "QEMU floods beside the guest",
    "QEMU's output grows by 300 MB while the guest runs.",
    'head -c 300000000 /dev/zero & exec $QEMU "$@"',
    same=True,
)
_program("QEMU has no memory", "QEMU may use 100 MB of address space.", 'ulimit -v 100000; exec $QEMU "$@"')
_program("QEMU dies young", "Each QEMU is killed after 0.4 s.", 'exec timeout -s KILL 0.4 $QEMU "$@"')
_program("QEMU starts late", "QEMU starts 3 s late.", 'sleep 3; exec $QEMU "$@"', same=True)
_program("QEMU has no files left", "QEMU may open 12 files.", 'ulimit -n 12; exec $QEMU "$@"')
_program(
    "machine without KVM",
    "QEMU starts a machine without virtualization.",
    f"CHANGE=s/virtualization=on/virtualization=off/{_CHANGED}",
)
_program(
    "guest has little memory",
    "QEMU gives the guest 40 MB.",
    f"CHANGE='s/^\\(256\\|512\\)M\\?$/40/'{_CHANGED}",
)
