"""A run on kernels that `run --build` has built."""

import shlex
from pathlib import Path

import pytest

from sysevent.checkout import ROOT
from sysevent.targets import built


@pytest.fixture(scope="module")
def run(runs):
    """A run on a kernel of arm64 that breaks a claim, and one that pytest was asked for without a build."""
    (runs.folder / "linux").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        found = {}
        built.hand_over({"arm64": Path("/cache/arm64-gcc")}, found)
        for name, value in found.items():
            patch.setenv(name, value)
        runs.start("built", "--build=linux", breaks={"arm64.psci.reset": "type"})
    runs.start("by hand", "--build=linux")
    return runs.__getitem__


def test_the_kernel_that_was_built_is_asked(run):
    """And no other architecture."""
    (target,) = run("built").records("target")
    assert (target["name"], target["spec"]) == ("arm64-tcg", "tree:/cache/arm64-gcc")


def test_the_command_that_runs_it_again_builds_again(run, runs):
    """For the same architecture, whatever is edited by then."""
    lines = [line for line in run("built").out.splitlines() if line.startswith("  again ")]
    (again,) = [line for line in lines if "psci.reset]" in line]
    words = shlex.split(again)
    assert words[1:5] == [str(ROOT / "sysevent"), "run", f"--build={runs.folder}/linux", "--arch=arm64"]
    assert words[-1].endswith("/test_suite.py::test_arm64[arm64-tcg-psci.reset]")


def test_pytest_builds_nothing(run):
    """One line, as for every mistake on the command line."""
    assert run("by hand").code == 4
    assert run("by hand").out.strip() == (
        "ERROR: --build is an option of `sysevent run`, which builds the kernel before it starts pytest"
    )
