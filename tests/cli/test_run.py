"""What sysevent run hands to pytest."""

import argparse
from pathlib import Path

import pytest

from sysevent.cli import run


def options(*words, here=Path("/here")):
    """What pytest is given for these words."""
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return run.pytest_options(parser.parse_args(words), here)


def test_nothing_given_nothing_passed():
    """The defaults are pytest's."""
    assert options() == []


def test_options_pass_as_they_are():
    """In the order of the table, each as one word."""
    assert options("--arch", "arm64", "--target=a*", "--target", "b*", "--offline", "--abi", "i386") == [
        "--target=a*",
        "--target=b*",
        "--arch=arm64",
        "--abi=i386",
        "--offline",
    ]


def test_values_are_checked_by_pytest():
    """So that the exit code of a wrong one is pytest's."""
    assert options("--keep", "maybe", "--keep-for", "soon") == ["--keep=maybe", "--keep-for=soon"]


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
