"""Whether the .config of an output directory is still the one that would be made again.

`make allnoconfig` takes two of the five seconds of a build in which nothing has changed. Its result depends on the
lines that are requested, on the compiler, and on the Kconfig files that include/config/auto.conf.cmd lists; make itself
trusts their times as well. The record is removed before a build, and written after one that reached the compiler.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sysevent.build.kconfig import ConfigLine
from sysevent.build.toolchain import Toolchain

_NAME = "sysevent.configured"
# The files that were read: a list of lines with a tab, a path relative to the tree or an absolute one, and " \".
_READ = re.compile(r"^\t(\S+)(?: \\)?$", re.MULTILINE)


class _Record(msgspec.Struct, frozen=True):
    fingerprint: str
    # Symbols that were requested, and not honoured.
    unmet: tuple[str, ...]


class Configured:
    """The record of one output directory."""

    def __init__(self, output: Path, tree: Path, lines: Sequence[ConfigLine], toolchain: Toolchain) -> None:
        self._output, self._tree = output, tree
        self._asked = f"{tree}\n{lines}\n{toolchain}\n{_state(shutil.which(toolchain.compiler) or '')}\n"

    def known(self) -> tuple[str, ...] | None:
        """Return the symbols that the .config does not honour, and remove the record; None if it must be made again."""
        path = self._output / _NAME
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_Record)
            path.unlink()
        except (OSError, msgspec.DecodeError):
            return None
        same = found.fingerprint == self._fingerprint() != ""
        return found.unmet if same else None

    def record(self, unmet: Sequence[str]) -> None:
        """Write the record of a .config with which files were compiled. OSError."""
        found = _Record(self._fingerprint(), tuple(unmet))
        (self._output / _NAME).write_bytes(msgspec.json.encode(found))

    def _fingerprint(self) -> str:
        """A hash of what decides the .config, and of the .config; "" if one of its files is missing."""
        total = hashlib.sha256(self._asked.encode())
        try:
            total.update((self._output / ".config").read_bytes())
            listed = (self._output / "include/config/auto.conf.cmd").read_text(errors="replace")
        except OSError:
            return ""
        for name in _READ.findall(listed):
            total.update(f"{name} {_state(self._tree / name)}\n".encode())
        return total.hexdigest()


def _state(path: str | Path) -> str:
    """Size and time of a file; "" if there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"
