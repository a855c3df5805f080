"""The lines of sysevent doctor."""

import pytest

from sysevent.cli import doctor
from sysevent.errors import ImageError


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", (7, 2, 22)),
        ("QEMU emulator version 10.0.13", (10, 0, 13)),
        ("bash: no such file", ()),
    ],
)
def test_qemu_version(output, version):
    """Numbers, so that 10 is newer than 8."""
    assert doctor.qemu_version(output) == version


def test_ok_is_one_line():
    """A fix is shown only for what is not ok."""
    assert "\n" not in doctor.render(doctor.Finding("x", ok=True, found="here", fix="nothing"))


def test_missing_shows_the_fix():
    """On a line of its own."""
    first, second = doctor.render(doctor.Finding("x", ok=False, found="not here", fix="do this")).splitlines()
    assert first.split() == ["missing", "x", "not", "here"]
    assert second.strip() == "fix: do this"


def test_what_is_not_needed_is_not_missing():
    """The local KVM never fails the doctor."""
    assert doctor.render(doctor.Finding("kvm", ok=False, found="-", needed=False)).startswith("no ")


def test_error_of_ours_becomes_a_finding():
    """With the fix that the check is known to have."""

    def check():
        raise ImageError("no keyring\nanywhere")

    finding = doctor.guarded("keyring", check, fix="install it")
    assert (finding.ok, finding.found, finding.fix) == (False, "no keyring anywhere", "install it")


def test_cache_must_be_writable(tmp_path):
    """A file in its place is not a directory."""
    (tmp_path / "cache").touch()
    assert not doctor.cache(tmp_path / "cache").ok
    assert not list(tmp_path.glob("cache/*"))


def test_cache_is_left_as_it_was(tmp_path, monkeypatch):
    """The test file is gone again."""
    monkeypatch.setattr(doctor, "_NEEDED_MB", 0)
    assert doctor.cache(tmp_path / "new").ok
    assert list((tmp_path / "new").iterdir()) == []


def test_little_space_is_missing(tmp_path, monkeypatch):
    """Whatever the disk has is less than this."""
    monkeypatch.setattr(doctor, "_NEEDED_MB", 10**12)
    assert not doctor.cache(tmp_path).ok


@pytest.mark.parametrize(("lacking", "code"), [(False, 0), (True, 1)])
def test_exit_code_counts_what_is_needed(monkeypatch, capsys, lacking, code):
    """And nothing else."""
    found = [
        doctor.Finding("a", ok=not lacking, found=""),
        doctor.Finding("kvm", ok=False, found="", needed=False),
    ]
    monkeypatch.setattr(doctor, "findings", lambda settings: iter(found))
    args = doctor.argparse.Namespace(mirror=None, keyring=None, install_deps=False)
    assert doctor.run(args) == code
