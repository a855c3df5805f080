"""What doctor says of an unusual machine: a line for each of its properties."""

from pathlib import Path

import msgspec
import pytest

from sysevent.doctor import machine

USUAL = machine.Machine(
    cpus=2,
    memory=8000,
    encoding="utf-8",
    home=Path("/home/me"),
    listed_home=Path("/home/me"),
    terminals=True,
    temporary=Path("/tmp"),
    executable=True,
    writable=True,
    absent=(),
)


def test_usual():
    assert list(machine.peculiarities(USUAL)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpus": 1}, "one CPU"),
        ({"memory": 2000}, "2000 MB of memory"),
        ({"encoding": "ansi_x3.4-1968"}, "is ansi_x3.4-1968"),
        ({"listed_home": None}, "does not have this user"),
        ({"home": Path("/srv/me")}, "HOME is /srv/me, and the password database has /home/me"),
        ({"terminals": False}, "no pseudo terminals"),
        ({"executable": False}, "no program can be executed in /tmp (noexec)"),
        ({"writable": False}, "is read-only: results are in"),
        (
            {"absent": ("zstd",)},
            "the build ID of such a kernel is not proven: `./sysevent run --install-deps`",
        ),
        ({"absent": ("git",)}, "git is not on PATH: `bisect`"),
    ],
    ids=str,
)
def test_unusual(change, words):
    (line,) = machine.peculiarities(msgspec.structs.replace(USUAL, **change))
    assert words in line
    assert "\n" not in line


def test_this_machine():
    assert machine.look().cpus > 0
