"""What is unusual about this machine, and what a run does about it."""

from __future__ import annotations

import locale
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sysevent.checkout import INSTALLED, ROOT, obstacle, results_home
from sysevent.doctor.package_managers import ZSTD
from sysevent.images.decoders import python_has_zstd

# MB of memory for the guests of three architectures, and for the compiler.
_MEMORY_MB = 2500
# Programs that some verbs need, and which.
_PROGRAMS = {
    "git": "`bisect` and `sensitivity` need it",
    "ssh": "for lab machines, ~/.ssh/config is read without it, and what only ssh understands is refused",
    ZSTD: "kernels and packages that are compressed with it, such as Ubuntu's, cannot be opened, and the build ID of "
    "such a kernel is not proven: `./sysevent run --install-deps` installs it",
    "setpriv": "no guest can be started: install util-linux",
}


class Machine(msgspec.Struct, frozen=True):
    """What a run depends on, besides QEMU and compilers."""

    cpus: int
    # MB; 0 if unknown.
    memory: int
    # Of the locale: "utf-8", "ascii".
    encoding: str
    home: Path
    # In the password database; None if it does not have the user.
    listed_home: Path | None
    # Whether there are pseudo terminals.
    terminals: bool
    temporary: Path
    # Whether a program in the directory for temporary files can be executed.
    executable: bool
    # Whether the checkout can be written to; also True for an installed package, which need not be.
    writable: bool
    absent: tuple[str, ...]


def look() -> Machine:
    """Return what this machine is like."""
    try:
        listed: Path | None = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        listed = None
    temporary = Path(tempfile.gettempdir())
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory=_memory(),
        encoding=locale.getencoding().lower(),
        home=Path.home(),
        listed_home=listed,
        terminals=Path("/dev/pts/ptmx").exists() and Path("/dev/ptmx").exists(),
        temporary=temporary,
        executable=not os.statvfs(temporary).f_flag & os.ST_NOEXEC,
        writable=INSTALLED or not obstacle(ROOT),
        absent=tuple(
            name
            for name in _PROGRAMS
            if shutil.which(name) is None and not (name == ZSTD and python_has_zstd())
        ),
    )


def _memory() -> int:
    """Return the MB of memory of this machine; 0 if unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    except (OSError, ValueError):
        return 0


def peculiarities(machine: Machine) -> Iterator[str]:
    """Yield a line for everything about a machine that is unusual, with what follows from it."""
    if machine.cpus == 1:
        yield "one CPU: runs take longer, and nothing else changes"
    if 0 < machine.memory < _MEMORY_MB:
        yield f"{machine.memory} MB of memory: if guests are lost, run one architecture at a time (--arch)"
    if "utf" not in machine.encoding:
        yield f"the encoding of the locale is {machine.encoding}: other characters are printed as escapes"
    if machine.listed_home is None:
        yield "the password database does not have this user: ssh refuses to work, so that lab machines cannot be used"
    elif machine.home != machine.listed_home:
        yield (
            f"HOME is {machine.home}, and the password database has {machine.listed_home}: the files of ssh are taken "
            "from HOME"
        )
    if not machine.terminals:
        yield "no pseudo terminals (/dev/pts is not mounted): tests that need one are skipped"
    if not machine.executable:
        yield f"no program can be executed in {machine.temporary} (noexec): none is put there by a run"
    if not machine.writable:
        yield f"the checkout {ROOT} is read-only: results are in {results_home()}"
    for name in machine.absent:
        yield f"{name} is not on PATH: {_PROGRAMS[name]}"
