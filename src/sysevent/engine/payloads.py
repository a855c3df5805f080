"""The payloads of one target's architecture: compiled when they are first needed, or ahead."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from sysevent.arches import Architecture
from sysevent.build import programs
from sysevent.errors import SyseventError
from sysevent.settings import Settings

ReadPayload = Callable[[Architecture, str, Settings], programs.Payload]


class Payloads:
    """The compiled payloads by their names, each read once."""

    def __init__(self, arch: Architecture, settings: Settings, read: ReadPayload = programs.payload) -> None:
        """read: how one is compiled and read."""
        self._arch = arch
        self._settings = settings
        self._read = read
        self._found: dict[str, programs.Payload] = {}

    def get(self, name: str) -> programs.Payload:
        """The payload of a name. Raises what programs.payload() raises."""
        if name not in self._found:
            self._found[name] = self._read(self._arch, name, self._settings)
        return self._found[name]

    def compile_all(self, stop: Callable[[], bool]) -> None:
        """Compile every payload of the architecture, until stop() is True; in any thread. get() raises a failure."""
        for path in sorted((programs.PAYLOADS / self._arch.name).glob("*.S")):
            if stop():
                return
            with contextlib.suppress(SyseventError):
                self.get(path.stem)
