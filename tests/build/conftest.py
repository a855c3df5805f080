"""Fixtures: a compiler that logs its arguments, and sources for it that a test can change."""

from pathlib import Path

import msgspec
import pytest

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.checkout import GUESTS


class Compiler:
    """A shell script that stands in for a compiler: it logs its arguments and writes a fixed output."""

    def __init__(self, folder):
        self.path = folder / "cc"
        self._version = folder / "version"
        self._log = folder / "log"
        self.set_version("fake 1.0")
        self.set_script('while [ "$1" != "-o" ]; do shift; done; echo built > "$2"')

    def set_script(self, script):
        """Change what a call other than --version runs."""
        log = f'echo "$@" >> {self._log}'
        self.path.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && exec cat {self._version}\n{log}\n{script}\n'
        )
        self.path.chmod(0o755)

    def set_version(self, text):
        """Change the first line of what --version prints."""
        self._version.write_text(f"{text}\nand a licence\n")

    @property
    def calls(self):
        """The arguments of every call, each as one line."""
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def arch():
    """An architecture with one ABI, for programs and payloads alike."""
    return ARCHITECTURES["riscv64"]


@pytest.fixture
def cc(tmp_path, monkeypatch, arch):
    """The compiler that CC_riscv64 names."""
    compiler = Compiler(tmp_path)
    monkeypatch.setenv("CC_riscv64", str(compiler.path))
    return compiler


@pytest.fixture
def cache(tmp_path):
    """Settings with an empty cache."""
    return msgspec.structs.replace(settings.from_environment(), cache=tmp_path / "cache")


INIT = ("init/init.c", "init/parameters.c", "init/parameters.h")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A directory like guests/, with other contents, which the build uses."""
    names = [path.relative_to(GUESTS) for path in programs.VMM.rglob("*.[ch]")]
    for name in (*names, "payloads/riscv64/call.S", "payloads/riscv64/payload.ld", *INIT):
        path = tmp_path / "guests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}")
    for name in ("VMM", "INIT", "PAYLOADS"):
        monkeypatch.setattr(programs, name, tmp_path / "guests" / name.lower())
    return Path(tmp_path / "guests")
