"""Verification of clear-signed files."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from openpgp import library

from sysevent.errors import BadSignature, ImageError, UsageError
from sysevent.images.debian import keyring
from sysevent.settings import Settings

pysequoia = library()
ArmorKind, Cert, SignatureMode, Tsk = (
    getattr(pysequoia, name) for name in ("ArmorKind", "Cert", "SignatureMode", "Tsk")
)
TEXT = b"Suite: stable\nCodename: trixie\nSHA256:\n 00 1 main\n"


@pytest.fixture(scope="module")
def alice():
    return Tsk.generate("alice")


@pytest.fixture(scope="module")
def bob():
    return Tsk.generate("bob")


@pytest.fixture
def load(tmp_path):
    def load(*keys):
        path = tmp_path / "ring.pgp"
        path.write_bytes(b"".join(bytes(k if isinstance(k, Cert) else k.extract_certificate()) for k in keys))
        return keyring.load(Settings(tmp_path, None, path, offline=False))

    return load


def clear(key, text=TEXT):
    return pysequoia.sign(key.signer(), text, mode=SignatureMode.CLEAR)


def packets(signed):
    """Return the signature packets of a clear-signed text."""
    lines = signed[signed.index(b"-----BEGIN PGP SIGNATURE-----") :].decode().splitlines()
    body = [line for line in lines[1:-1] if ":" not in line and not line.startswith("=") and line]
    return base64.b64decode("".join(body))


def spliced(text_of, *signatures):
    """Return the text of one signed file with the signatures of several."""
    head = text_of[: text_of.index(b"-----BEGIN PGP SIGNATURE-----")]
    return head + pysequoia.armor(b"".join(map(packets, signatures)), ArmorKind.Signature).encode()


def test_the_signed_text_is_returned(alice, load):
    assert load(alice).content(clear(alice), "InRelease") == TEXT


def test_text_outside_the_signed_text_is_not_returned(alice, load):
    signed = b"Suite: injected\n\n" + clear(alice) + b"Suite: injected\n"
    try:
        content = load(alice).content(signed, "InRelease")
    except BadSignature:
        return
    assert content == TEXT


@pytest.mark.parametrize("word", [b"stable", b"trixie", b"main"])
def test_one_changed_byte(alice, load, word):
    signed = bytearray(clear(alice))
    signed[signed.index(word)] ^= 1
    with pytest.raises(BadSignature, match=r"^dists/x/InRelease is not signed") as caught:
        load(alice).content(bytes(signed), "dists/x/InRelease")
    assert "\n" not in str(caught.value)


def test_one_changed_byte_in_the_signature(alice, load):
    signed = clear(alice)
    middle = packets(signed)[-20]
    changed = packets(signed)[:-20] + bytes([middle ^ 1]) + packets(signed)[-19:]
    head = signed[: signed.index(b"-----BEGIN PGP SIGNATURE-----")]
    with pytest.raises(BadSignature):
        load(alice).content(head + pysequoia.armor(changed, ArmorKind.Signature).encode(), "InRelease")


def test_an_unknown_key(alice, bob, load):
    with pytest.raises(BadSignature, match="not signed by a key in"):
        load(alice).content(clear(bob), "InRelease")


def test_without_signature(alice, load):
    for text in (b"", TEXT, b"<html>log in first</html>"):
        with pytest.raises(BadSignature):
            load(alice).content(text, "InRelease")


def test_one_good_signature_beside_an_unknown_one(alice, bob, load):
    both = spliced(clear(alice), clear(alice), clear(bob))
    assert load(alice).content(both, "InRelease") == TEXT
    assert load(alice, bob).content(both, "InRelease") == TEXT


def test_a_bad_signature_of_a_known_key_beside_a_good_one(alice, bob, load):
    both = spliced(clear(alice), clear(alice), clear(bob, TEXT + b"more\n"))
    with pytest.raises(BadSignature, match="is bad"):
        load(alice, bob).content(both, "InRelease")
    assert load(alice).content(both, "InRelease") == TEXT, "bob is unknown there"


def test_an_expired_certificate_is_ignored(alice, load):
    old = Tsk.generate("old")
    signed = clear(old)
    # sequoia dates new keys back by a minute, so an expiration 30 s ago is after the creation.
    end = datetime.now(UTC) - timedelta(seconds=30)
    expired = old.extract_certificate().set_expiration(end, old.certifier())
    ring = load(expired, alice)
    assert old.extract_certificate().fingerprint not in ring.signing
    assert ring.content(spliced(signed, signed, clear(alice)), "InRelease") == TEXT
    assert ring.content(spliced(signed, clear(old, b"other"), clear(alice)), "InRelease") == TEXT
    with pytest.raises(BadSignature):
        ring.content(signed, "InRelease")


def test_without_keyring_the_message_names_package_and_option(tmp_path):
    settings = Settings(tmp_path, None, None, offline=False)
    words = r"package debian-archive-keyring .*Fedora: debian-keyring.*--install-deps.*--keyring"
    with pytest.raises(ImageError, match=words):
        keyring.load(settings, installed=(tmp_path / "none.pgp",))


@pytest.mark.parametrize("content", [b"", b"no keys here"])
def test_a_file_that_is_not_a_keyring(tmp_path, content):
    path = tmp_path / "ring"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=str(path)):
        keyring.load(Settings(tmp_path, None, path, offline=False))


def test_the_installed_keyring_has_signing_subkeys():
    path = next((p for p in keyring.INSTALLED_KEYRINGS if p.exists()), None)
    if path is None:
        pytest.skip("debian-archive-keyring is not installed")
    ring = keyring.load(Settings(path.parent, None, None, offline=False))
    assert len(ring.signing) > len(ring.certificates) // 2
