"""What ./sysevent takes from the distribution on a machine that the lock has not all wheels for, with a fake set-up."""

import os
import sys

import pytest
from cli.test_launcher import checkout, fake_python, launcher  # noqa: F401

LOCK = """# a comment
made==1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
checked==2 ; python_version > '3' \\
    --hash=sha256:cc
rest==3 \\
    --hash=sha256:dd
"""


@pytest.fixture
def machine(launcher, checkout, monkeypatch, tmp_path):  # noqa: F811
    """machine(*modules, programs=()): one without wheels of two packages, whose Python has these modules."""
    (checkout / "requirements.lock").write_text(LOCK)
    wanted = {"made": ("python3-made", "made_module"), "checked": ("checker", "")}
    monkeypatch.setattr(launcher, "NO_WHEELS", {os.uname().machine: wanted})
    there, bin_ = tmp_path / "dist-packages", tmp_path / "bin"
    there.mkdir()
    bin_.mkdir()
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    real = launcher.present
    monkeypatch.setattr(
        launcher, "FIND_MODULES", f"import sys; sys.path[:0] = [{str(there)!r}]\n{launcher.FIND_MODULES}"
    )
    # This interpreter is a real one, which the fake one only stands for.
    monkeypatch.setattr(launcher, "present", lambda python, wanted: real(sys.executable, wanted))

    def have(*modules, programs=()):
        for name in modules:
            (there / name).mkdir(exist_ok=True)
            (there / name / "__init__.py").touch()
        for name in programs:
            (bin_ / name).write_text("#!/bin/sh\n")
            (bin_ / name).chmod(0o755)
        return launcher

    return have


def site(checkout):  # noqa: F811
    """The directory for packages in .venv, which the fake set-up does not make."""
    path = checkout / ".venv" / "lib" / "python3.13" / "site-packages"
    path.mkdir(parents=True)
    return path


def test_from_the_distribution(machine, checkout, tmp_path):  # noqa: F811
    """Modules are linked, programs need nothing, and pip installs the rest, with hashes."""
    fake_python(checkout, 'cp "$(echo "$*" | sed "s/.*-r //")" given')
    machine("made_module", programs=["checker"]).set_up(install_deps=False)
    assert (checkout / "given").read_text() == "# a comment\nrest==3 \\\n    --hash=sha256:dd\n"
    (line,) = [line for line in (checkout / "calls").read_text().splitlines() if "--require-hashes" in line]
    assert "--no-deps" in line


def test_links(machine, checkout, tmp_path):  # noqa: F811
    """Also over those of an earlier Python; a single file as well as a folder."""
    place = site(checkout)
    (place / "made_module").symlink_to("/gone")
    (tmp_path / "one.so").touch()
    machine().link_modules([str(tmp_path / "dist-packages" / "made_module"), str(tmp_path / "one.so"), ""])
    assert (place / "made_module").readlink() == tmp_path / "dist-packages" / "made_module"
    assert sorted(path.name for path in place.iterdir()) == ["made_module", "one.so"]


def test_the_packages_are_named(machine):
    """Those that are missing, in a line to paste."""
    with pytest.raises(
        Exception, match=r"made, checked: there are no wheels.*\n.*install -y python3-made checker\n"
    ):
        machine().set_up(install_deps=False)
    with pytest.raises(Exception, match=r"^checked: .*\n.*install -y checker\n"):
        machine("made_module").set_up(install_deps=False)


def test_they_are_installed(machine, monkeypatch):
    """With --install-deps, and only the missing ones."""
    launcher = machine("made_module")  # noqa: F811
    asked = []

    def install(*packages):
        asked.append(packages)
        machine(programs=["checker"])

    monkeypatch.setattr(launcher, "install_packages", install)
    launcher.set_up(install_deps=True)
    assert asked == [("checker",)]
    assert launcher.stored_key() == launcher.expected_key()


def test_pip_builds_them(machine, checkout):  # noqa: F811
    """Where there is a compiler for it, as before."""
    fake_python(checkout, 'cp "$(echo "$*" | sed "s/.*-r //")" given')
    machine(programs=["cargo"]).set_up(install_deps=False)
    assert (checkout / "given").read_text() == LOCK


def test_all_wheels_exist(launcher, monkeypatch):  # noqa: F811
    """On other machines nothing is looked for."""
    monkeypatch.setattr(launcher, "NO_WHEELS", {"another": {"made": ("python3-made", "made_module")}})
    assert launcher.from_distribution("/no/python", install_deps=True) == {}


def test_every_name_is_in_the_lock(launcher):  # noqa: F811
    """A package that has gone from the lock is not asked of a distribution."""
    from sysevent.checkout import ROOT

    locked = {
        line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
    }
    for wanted in launcher.NO_WHEELS.values():
        assert set(wanted) <= locked
