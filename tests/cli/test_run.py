"""What sysevent run hands to pytest, and when it refuses to."""

import argparse
from pathlib import Path

import pytest

from sysevent.cli import run, system_packages
from sysevent.errors import UsageError

ALL = ("arm64", "riscv64", "x86_64")


def options(*words, here=Path("/here")):
    """What pytest is given for these words."""
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return run.pytest_options(parser.parse_args(words), here)


@pytest.mark.parametrize(
    ("targets", "archs", "needed"),
    [
        ([], [], ALL),
        ([], ["x86_64", "arm64"], ("arm64", "x86_64")),
        (["riscv64-tcg"], [], ("riscv64",)),
        (["*-tcg"], [], ALL),
        (["*64-tcg"], ["x86_64"], ("x86_64",)),
        (["local"], [], ()),
        (["rpi5.lab"], [], ()),
        (["arm64-tcg", "local"], [], ("arm64",)),
    ],
    ids=str,
)
def test_selection_decides_which_qemu_is_needed(targets, archs, needed):
    """A target that is not QEMU's needs none."""
    assert run.needed_archs(targets, archs) == needed


def test_nothing_given_nothing_passed():
    """The defaults are pytest's."""
    assert options() == []


def test_options_pass_as_they_are():
    """In an order of ours, each as one word."""
    assert options("--arch", "arm64", "--target=a*", "--target", "b*", "--offline", "--abi", "i386") == [
        "--target=a*",
        "--target=b*",
        "--arch=arm64",
        "--abi=i386",
        "--offline",
    ]


def test_install_deps_is_not_passed():
    """pytest does not know it."""
    assert options("--install-deps", "--strict-observed") == ["--strict-observed"]


def test_paths_become_absolute(tmp_path):
    """pytest runs at the root of the checkout, the user may stand elsewhere."""
    assert options("--targets", "lab.toml", "--results", "/abs", "--modules", "m", here=tmp_path) == [
        f"--targets={tmp_path}/lab.toml",
        f"--modules={tmp_path}/m",
        "--results=/abs",
    ]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("debian:6.12", "debian:6.12"),
        ("debian:5.10", "debian:5.10"),
        ("build/bzImage", "{here}/build/bzImage"),
        ("tree:../linux", "tree:{here}/../linux"),
        ("tree:/src/linux", "tree:/src/linux"),
        ("odd:name", "{here}/odd:name"),
    ],
)
def test_kernel_is_a_track_or_a_path(given, passed, tmp_path):
    """Only what is a path changes; a file may have a colon in its name."""
    (tmp_path / "odd:name").touch()
    assert options("--kernel", given, here=tmp_path) == [f"--kernel={passed.format(here=tmp_path)}"]


@pytest.fixture
def without(monkeypatch):
    """A machine without the QEMU of some architectures."""

    def lacking(*archs):
        monkeypatch.setattr(
            system_packages, "missing_qemu", lambda wanted: tuple(a for a in wanted if a in archs)
        )
        monkeypatch.setattr(system_packages, "this_machine", lambda: system_packages.MANAGERS[0])

    return lacking


def see(archs, *, install=False, explicit=False):
    """The lines that the user is told."""
    told = []
    run.see_to_qemu(archs, install=install, explicit=explicit, progress=told.append)
    return told


def test_complete_machine_is_told_nothing(without):
    """Nor is anything installed."""
    without()
    assert see(ALL) == []
    assert see(ALL, install=True) == []


def test_missing_part_is_noted_and_the_rest_runs(without):
    """When the user selected nothing."""
    without("riscv64")
    (line,) = see(ALL)
    assert "qemu-system-riscv64" in line
    assert "apt-get install" in line
    assert "--install-deps" in line
    assert "qemu-system-arm" not in line


def test_missing_part_of_a_selection_is_refused(without):
    """A selection that cannot run is the user's to change."""
    without("riscv64")
    with pytest.raises(UsageError, match=r"(?s)qemu-system-riscv64.*apt-get install.*--install-deps"):
        see(ALL, explicit=True)


def test_everything_missing_is_refused(without):
    """There is nothing to go on with."""
    without(*ALL)
    with pytest.raises(UsageError, match="qemu-system-arm qemu-system-riscv64 qemu-system-x86"):
        see(ALL)


def test_selection_without_tcg_needs_no_qemu(without):
    """--target local runs on a machine without any."""
    without(*ALL)
    assert see((), explicit=True) == []


def test_install_deps_installs_only_what_is_missing(without, monkeypatch):
    """And does not believe the package manager: it looks again."""
    without("x86_64")
    asked = []

    def install(keys, progress):
        asked.append(keys)
        without()

    monkeypatch.setattr(system_packages, "install", install)
    see(ALL, install=True)
    assert asked == [("qemu-x86",)]


def test_install_that_brought_nothing_is_said(without, monkeypatch):
    """With the PATH that was searched."""
    without("x86_64")
    monkeypatch.setattr(system_packages, "install", lambda keys, progress: None)
    with pytest.raises(Exception, match="not on PATH"):
        see(ALL, install=True)
