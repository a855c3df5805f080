"""A compiler that writes down what it was told, and sources of one's own for it."""

from pathlib import Path

import msgspec
import pytest

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.checkout import GUESTS


class Compiler:
    """A shell script in a compiler's place. What it builds is its own arguments."""

    def __init__(self, folder):
        self.path = folder / "cc"
        self._said = folder / "said"
        self._log = folder / "log"
        self.version("fake 1.0")
        self.does('while [ "$1" != "-o" ]; do shift; done; echo built > "$2"')

    def does(self, script):
        log = f'echo "$@" >> {self._log}'
        self.path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec cat {self._said}\n{log}\n{script}\n')
        self.path.chmod(0o755)

    def version(self, text):
        self._said.write_text(f"{text}\nand a licence\n")

    @property
    def calls(self):
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def arch():
    return ARCHITECTURES["riscv64"]  # one ABI for programs and payloads alike


@pytest.fixture
def cc(tmp_path, monkeypatch, arch):
    """What CC_riscv64 names."""
    compiler = Compiler(tmp_path)
    monkeypatch.setenv("CC_riscv64", str(compiler.path))
    return compiler


@pytest.fixture
def cache(tmp_path):
    return msgspec.structs.replace(settings.from_environment(), cache=tmp_path / "cache")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """guests/ of this test's own."""
    names = [path.relative_to(GUESTS) for path in programs.VMM.rglob("*.[ch]")]
    for name in (*names, "payloads/riscv64/call.S", "payloads/riscv64/payload.ld", "init/init.c"):
        path = tmp_path / "guests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}")
    for name in ("VMM", "INIT", "PAYLOADS"):
        monkeypatch.setattr(programs, name, tmp_path / "guests" / name.lower())
    return Path(tmp_path / "guests")
