"""QEMU's CPU model for a guest."""

from __future__ import annotations

from collections.abc import Callable

from sysevent.arches import Architecture
from sysevent.qemu import version as versions


def model(
    arch: Architecture,
    accel: str,
    wanted: str = "",
    version: Callable[[Architecture], str] = versions.version,
) -> str:
    """Return the words of -cpu: the wanted ones; without any, the default for this architecture and version of QEMU.

    "" if the default does not depend on the version, which is then not asked: argv() has that one.
    """
    if wanted or accel != "tcg" or not arch.qemu_cpu_words:
        return wanted
    installed = versions.numbers(version(arch))
    words = [word.word for word in arch.qemu_cpu_words if word.since <= installed < word.before]
    return ",".join((arch.qemu_cpu, *words))
