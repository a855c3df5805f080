"""The checks of sysevent doctor, and the lines that it prints."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.cli import doctor
from sysevent.doctor import checks
from sysevent.doctor.checks import CheckResult
from sysevent.doctor.system_packages import Installer
from sysevent.errors import ImageError


def test_ok_is_one_line():
    """A fix is shown only for what is not ok."""
    assert "\n" not in doctor.render(CheckResult("x", ok=True, found="here", fix="nothing"))


def test_missing_shows_the_fix():
    """On a line of its own."""
    first, second = doctor.render(CheckResult("x", ok=False, found="not here", fix="do this")).splitlines()
    assert first.split() == ["missing", "x", "not", "here"]
    assert second.strip() == "fix: do this"


def test_what_is_not_needed_is_not_missing():
    """The local KVM never fails the doctor."""
    assert doctor.render(CheckResult("kvm", ok=False, found="-", needed=False)).startswith("no ")


def test_error_becomes_a_result():
    """With the fix of the check."""

    def check():
        raise ImageError("no keyring\nanywhere")

    result = checks.guarded("keyring", check, fix="install it")
    assert (result.ok, result.found, result.fix) == (False, "no keyring anywhere", "install it")


def test_cache_must_be_writable(tmp_path):
    """A file in its place is not a directory."""
    (tmp_path / "cache").touch()
    assert not checks.cache(tmp_path / "cache").ok
    assert not list(tmp_path.glob("cache/*"))


def test_cache_is_left_as_it_was(tmp_path):
    """The test file is removed."""
    assert checks.cache(tmp_path / "new", needed=0).ok
    assert list((tmp_path / "new").iterdir()) == []


def test_little_space_is_missing(tmp_path):
    """Every disk has less than this."""
    assert not checks.cache(tmp_path, needed=10**12).ok


@pytest.mark.parametrize(("lacking", "code"), [(False, 0), (True, 1)])
def test_exit_code_counts_what_is_needed(capsys, lacking, code):
    """And nothing else."""
    results = [
        CheckResult("a", ok=not lacking, found=""),
        CheckResult("kvm", ok=False, found="", needed=False),
    ]
    assert doctor.show(results) == code
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(("pace", "ending"), [("", "7.2.22"), ("QEMU is slow", "7.2.22; QEMU is slow")])
def test_qemu_on_a_slow_machine(tmp_path, monkeypatch, pace, ending):
    """What a run does about it is behind its version."""
    (tmp_path / "qemu-system-riscv64").write_text("#!/bin/sh\necho QEMU emulator version 7.2.22\n")
    (tmp_path / "qemu-system-riscv64").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = checks.qemu(ARCHITECTURES["riscv64"], Installer(None, root=True), pace=lambda: pace)
    assert (found.ok, found.found) == (True, ending)


def test_qemu_under_kvm():
    """It is not needed; what QEMU printed when it gave up is shown."""
    broken = checks.accelerated("gives up with signal 6: kvm.c")
    assert (broken.ok, broken.needed, broken.found) == (False, False, "gives up with signal 6: kvm.c")
    assert checks.accelerated("").ok


def test_dependencies_without_metadata(tmp_path):
    """A clone on PYTHONPATH is no installed distribution; its project file says what it needs."""
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\ndependencies = ["pytest>=8", "no-such-thing[x] ; python_version > \'3\'"]\n'
    )
    assert checks.dependencies(project).found == "not installed: no-such-thing"
    assert checks.dependencies().ok
    found = checks.dependencies(tmp_path / "none")
    assert (found.ok, "cannot be read" in found.found) == (False, True)
