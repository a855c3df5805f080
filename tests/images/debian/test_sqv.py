"""Signatures checked by the program sqv, on machines without the library."""

import contextlib
import shutil
import subprocess

import pytest
from openpgp import library

from sysevent.errors import BadSignature, ImageError, ToolMissing, UsageError
from sysevent.images.debian import keyring
from sysevent.images.debian.sqv import SqvKeyring
from sysevent.settings import Settings

pysequoia = library()
SIGNED = b"Suite: stable\nCodename: trixie\n"


def _reads_signed_text():
    """Whether there is an sqv that reads clear-signed files: since 1.3, in Debian 13."""
    with_help = ["sqv", "--help"]
    return (
        bool(shutil.which("sqv")) and b"--cleartext" in subprocess.run(with_help, capture_output=True).stdout
    )


real = pytest.mark.skipif(not _reads_signed_text(), reason="no sqv of 1.3 or later: apt-get install sqv")


@pytest.fixture(scope="module")
def keys():
    return [pysequoia.Tsk.generate(name) for name in ("alice", "bob")]


@pytest.fixture
def ring(tmp_path, keys):
    """The keyring of a machine without the library, with the certificate of the first key."""
    path = tmp_path / "ring.pgp"
    path.write_bytes(bytes(keys[0].extract_certificate()))
    return keyring.load(Settings(tmp_path, None, path, offline=False), library="no_such_library")


def clear(key):
    return pysequoia.sign(key.signer(), SIGNED, mode=pysequoia.SignatureMode.CLEAR)


@real
def test_signed(ring, keys):
    """Exactly the signed text."""
    assert ring.content(clear(keys[0]), "InRelease") == SIGNED
    assert ring.words == "read by sqv"


@real
def test_not_signed(ring, keys):
    """Another key, another text, or no signature."""
    good = clear(keys[0])
    for data in (clear(keys[1]), good.replace(b"trixie", b"trixiE"), SIGNED, b""):
        with pytest.raises(BadSignature, match=r"InRelease is not signed by a key in .*ring.pgp"):
            ring.content(data, "InRelease")


@real
def test_text_around_it(ring, keys):
    """It is refused, or left out."""
    data = b"Suite: injected\n\n" + clear(keys[0]) + b"Suite: injected\n"
    with contextlib.suppress(BadSignature):
        assert ring.content(data, "InRelease") == SIGNED


@pytest.fixture
def program(tmp_path, monkeypatch):
    """program(script): a program of that name, the only one on PATH."""

    def write(script):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "sqv").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / "sqv").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return write


def test_what_it_is_given(ring, program):
    """The keyring, a file with all that arrived, and one for the text."""
    shows = 'case $2 in *ring.pgp) while read -r x; do echo "$x"; done <$6 >$5; esac'
    program(f'test "$1 $3 $4" = "--keyring --cleartext --output" && {shows}')
    assert ring.content(b"a\nb\n", "InRelease") == b"a\nb\n"


@pytest.mark.parametrize(
    ("script", "words"), [("echo 'bad: x' >&2; exit 1", r"\(bad: x\)"), ("exit 3", r"\(exit code 3\)")]
)
def test_it_fails(ring, program, script, words):
    """What it printed does not count, and its reason is in the message."""
    program(f"echo text; {script}")
    with pytest.raises(BadSignature, match=words):
        ring.content(b"", "InRelease")


def test_it_is_too_old(ring, program):
    """That of Debian 12 says so, and the signature is not called bad."""
    program("echo \"error: unexpected argument '--cleartext' found\" >&2; exit 2")
    with pytest.raises(ToolMissing, match=r"sqv is older than 1\.3"):
        ring.content(b"", "InRelease")


def test_it_is_missing(ring, program):
    """The package is named."""
    with pytest.raises(ToolMissing, match="apt-get install sqv"):
        ring.content(b"", "InRelease")


def test_the_file_is_missing(tmp_path):
    """As with the library."""
    path = tmp_path / "none.pgp"
    with pytest.raises(UsageError, match="cannot read the keyring"):
        keyring.load(Settings(tmp_path, None, path, offline=False), library="no_such_library")
    with pytest.raises(ImageError, match="no keyring"):
        keyring.load(Settings(tmp_path, None, None, offline=False), (path,), library="no_such_library")


def test_the_library_is_preferred(tmp_path, keys):
    """It knows more about a keyring."""
    path = tmp_path / "ring.pgp"
    path.write_bytes(bytes(keys[0].extract_certificate()))
    assert not isinstance(keyring.load(Settings(tmp_path, None, path, offline=False)), SqvKeyring)
