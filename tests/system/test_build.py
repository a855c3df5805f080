"""`run --build`: from an edit to the verdict of the kernel that was built with it, and back."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import filelock
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import source_tree
from sysevent.checkout import ROOT
from sysevent.cli import building
from sysevent.errors import UsageError
from sysevent.model import Proof
from sysevent.report import records, run_log

ARM64 = ARCHITECTURES["arm64"]
EDITED = Path("arch/arm64/kvm/psci.c")
OFF = "kvm_prepare_system_event(vcpu, KVM_SYSTEM_EVENT_SHUTDOWN, 0);"
CLAIM = "psci.off]"
# Seconds for a build from scratch and a run: a few minutes are usual, twenty on a busy machine that builds it first.
TIMEOUT = 3600


def link_or_copy(source, to):
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def edit(tree, text):
    """Replace the file, which can be a link to the user's."""
    new = tree / f"{EDITED}.new"
    new.write_text(text)
    new.replace(tree / EDITED)


@pytest.fixture
def tree():
    """A copy of the tree of SYSEVENT_TEST_LINUX, which is only read, in a directory that is removed."""
    named = os.environ.get("SYSEVENT_TEST_LINUX")
    if not named:
        pytest.skip(
            "SYSEVENT_TEST_LINUX names no source of a kernel: apt-get install linux-source, and unpack it"
        )
    original = source_tree.require(Path(named), "SYSEVENT_TEST_LINUX")
    try:
        building.programs(ARM64, False)
    except UsageError as error:
        pytest.skip(str(error))
    # Always the same, because ccache has results for the paths that it has seen.
    folder = Path(tempfile.gettempdir()) / f"sysevent-test-build-{os.getuid()}"
    with filelock.FileLock(f"{folder}.lock"):
        shutil.rmtree(folder, ignore_errors=True)
        ignored = shutil.ignore_patterns(".git")
        copy = folder / "linux"
        shutil.copytree(original, copy, symlinks=True, copy_function=link_or_copy, ignore=ignored)
        yield copy
        shutil.rmtree(folder)


@pytest.fixture
def run(tree):
    """run(*words): the process of `sysevent run` with these words, with a cache of its own."""
    environment = os.environ | {"SYSEVENT_CACHE": str(tree.parent / "cache"), "SYSEVENT_OFFLINE": "1"}

    def started(*words):
        return subprocess.run(
            [sys.executable, "-m", "sysevent", "run", *words],
            capture_output=True,
            text=True,
            cwd=tree.parent,
            env=environment,
            timeout=TIMEOUT,
            check=False,
        )

    return started


def test_an_edit_is_built_asked_and_repaired(run, tree):
    """Each time the kernel that answers is the one that was built; a compile error is no verdict."""
    words = ["--build", "linux", "--arch", "arm64"]
    good = tree / EDITED
    text = good.read_text()
    assert text.count(OFF) == 1

    edit(tree, text.replace("SHUTDOWN, 0", "RESET, 0"))
    broken = run(*words, "--results", "broken", "--", "-k", CLAIM)
    output = broken.stdout + broken.stderr
    assert broken.returncode == 1, output
    assert "type: got 2 (RESET), expected 1 (SHUTDOWN)" in output, output
    assert answered(tree.parent / "broken") == printed(output)

    (again,) = [line for line in output.splitlines() if line.lstrip().startswith("again ")]
    program, verb, *rest = shlex.split(again)[1:]
    assert (program, verb) == (str(ROOT / "sysevent"), "run")
    assert f"--build={tree}" in rest

    edit(tree, text.replace(OFF, OFF.replace("0);", "0)")))
    failed = run(*rest)
    assert (failed.returncode, "Linux" in failed.stdout) == (3, False)
    assert f"{EDITED}:{text[: text.index(OFF)].count(chr(10)) + 1}:" in failed.stderr

    edit(tree, text)
    repaired = run(*rest[: rest.index("--")], "--results", "repaired", *rest[rest.index("--") :])
    output = repaired.stdout + repaired.stderr
    assert repaired.returncode == 0, output
    assert answered(tree.parent / "repaired") == printed(output)
    assert answered(tree.parent / "repaired") != answered(tree.parent / "broken")


def printed(output):
    """The build ID of the line about the build."""
    (found,) = re.findall(r"arm64: built in .*, build ID ([0-9a-f]{40})$", output, re.MULTILINE)
    return found


def answered(results):
    """The build ID that the kernel of the one target had, as it is in the log."""
    (target,) = (
        record for record in run_log.read(run_log.path_in(results)) if isinstance(record, records.Target)
    )
    assert target.identity is Proof.PROVEN
    return target.build_id
