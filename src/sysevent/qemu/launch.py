"""Starts the QEMU of a guest: confined, with its files as open file descriptors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sysevent.qemu.argv import GuestConfig, InheritedFds, argv
from sysevent.qemu.confinement import Confinement, confinement, let_write, open_for, readable_by
from sysevent.qemu.process import QemuProcess

Confine = Callable[[GuestConfig], Confinement]


def confine(config: GuestConfig) -> Confinement:
    """How the QEMU of a guest is confined. The first call for a QEMU tries it, which takes 0.04 s."""
    return confinement(config.arch.qemu, kvm=config.accel != "tcg")


def start(
    config: GuestConfig,
    fds: InheritedFds,
    inherit: Sequence[int],
    log: Path,
    *,
    restored: bool = False,
    keep: int = 0,
    more: Sequence[str] = (),
    confine: Confine = confine,
) -> QemuProcess:
    """Start the QEMU of a guest. Raises what QemuProcess() raises, and OSError if a file cannot be opened.

    fds and restored are those of argv(), log and keep those of QemuProcess. more: options behind those of argv().
    inherit: all file descriptors of fds, and those of more.
    """
    found = confine(config)
    with contextlib.ExitStack() as closing:
        files = {}
        if found.other_user:
            for name, path in (("kernel", config.kernel), ("initramfs", config.initramfs)):
                file = getattr(fds, name)
                files[name] = readable_by(found, file) if file else open_for(found, path)
                closing.callback(os.close, files[name])
            if fds.memory:
                let_write(found, fds.memory)
        command = argv(config, msgspec.structs.replace(fds, **files), restored=restored)
        return QemuProcess(
            [*command, *found.options, *more], [*inherit, *files.values()], log, keep, found.privileges
        )
