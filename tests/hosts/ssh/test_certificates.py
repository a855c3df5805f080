"""Certificates of hosts: made by ssh-keygen, accepted by the rules of ssh, and by no others."""

import base64
import shutil
import subprocess
import time

import paramiko
import pytest

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import certificates, known
from sysevent.hosts.ssh.route import Hop

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
YEAR = 365 * 24 * 3600


def keygen(*words):
    subprocess.run(["ssh-keygen", "-q", *words], check=True, timeout=60)


@pytest.fixture
def made(tmp_path):
    """made(*options, ca=type, key=type): the blobs of a new certificate of a host, and of its authority."""

    def make(*options, ca="ed25519", key="ed25519"):
        for name, kind in (("ca", ca), ("key", key)):
            (tmp_path / name).unlink(missing_ok=True)
            keygen("-t", kind, "-N", "", "-f", tmp_path / name)
        keygen("-s", tmp_path / "ca", "-I", "id", *options, tmp_path / "key.pub")
        names = ("key-cert.pub", "ca.pub")
        return [base64.b64decode((tmp_path / name).read_text().split()[1]) for name in names]

    return make


def hop(**changes):
    row = {"name": "board", "address": "Board.lab", "port": 22, "user": "me", "identities": (), "agent": True}
    return Hop(**(row | {"known_hosts": ()} | changes))


def refusal(blob, *authorities, now=None, **changes):
    return certificates.refusal(certificates.parse(blob), hop(**changes), authorities, now or time.time())


@pytest.mark.parametrize("ca", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("key", ["ed25519", "ecdsa", "rsa"])
def test_valid(made, ca, key):
    """Of every type that both programs know."""
    blob, authority = made("-h", "-n", "other,board.lab", ca=ca, key=key)
    assert refusal(blob, authority) == ""


@pytest.mark.parametrize(
    ("options", "changes", "words"),
    [
        (["-h", "-n", "*.lab"], {}, ""),
        (["-h", "-n", "rack-3"], {"alias": "rack-3"}, ""),
        (["-h", "-n", "board.lab", "-V", "+1d"], {}, ""),
        (["-h", "-n", "board.lab"], {"alias": "rack-3"}, "not for rack-3"),
        (["-h", "-n", "board"], {}, "it is for 'board', not for board.lab"),
        (["-h", "-n", "[b]oard.lab"], {}, "not for board.lab"),
        (["-h"], {}, "it is for no machine by name"),
        (["-n", "board.lab"], {}, "it is not that of a machine"),
        (["-h", "-n", "board.lab", "-V", "+1d"], {"now": time.time() + YEAR}, "expired"),
        (["-h", "-n", "board.lab", "-V", "+1d:+2d"], {}, "not valid yet"),
        (["-h", "-n", "board.lab", "-O", "critical:x=y"], {}, "critical options"),
        (["-h", "-n", "board.lab"], {"ca_algorithms": ("rsa-sha2-512",)}, "'ssh-ed25519' are not accepted"),
    ],
)
def test_what_it_says(made, options, changes, words):
    """Names, kind, dates, options, and how it may be signed."""
    blob, authority = made(*options)
    found = refusal(blob, authority, **changes)
    assert words in found
    assert bool(words) == bool(found)


def test_a_signature_by_sha1(made):
    """ssh has not accepted it since 8.2, whatever CASignatureAlgorithms of this run says."""
    blob, authority = made("-h", "-n", "board.lab", "-t", "rsa-sha2-256", ca="rsa")
    assert "not accepted" in refusal(blob, authority, ca_algorithms=("ssh-rsa",))


def test_another_authority(made):
    """Only those that known_hosts has for the machine."""
    blob, authority = made("-h", "-n", "board.lab")
    _, other = made("-h", "-n", "board.lab")
    assert "authority" in refusal(blob, other)
    assert "authority" in refusal(blob)
    # Signed by another key than the one that it names.
    forged = blob.replace(authority[-32:], other[-32:])
    assert refusal(forged, other) == "its signature is wrong"


def test_every_byte_counts(made):
    """A certificate that differs in any byte is damaged or refused."""
    blob, authority = made("-h", "-n", "board.lab")
    for at in range(0, len(blob), 3):
        changed = bytearray(blob)
        changed[at] ^= 1
        try:
            assert refusal(bytes(changed), authority), at
        except ValueError:
            continue
    for size in range(len(blob)):
        with pytest.raises(ValueError, match=r"cut off|not supported"):
            certificates.parse(blob[:size])
    with pytest.raises(ValueError, match="behind it"):
        certificates.parse(blob + b"\0")


def shown(blob):
    """The key of a machine that shows a certificate, as paramiko has it after the key exchange."""
    return paramiko.Ed25519Key(data=blob)


@pytest.fixture
def file(tmp_path):
    """file(*lines): a file of known hosts."""

    def write(*lines):
        (tmp_path / "known_hosts").write_text("".join(f"{line}\n" for line in lines))
        return {"known_hosts": (tmp_path / "known_hosts",), "address": "board.lab"}

    return write


def line(authority, name="board.lab", marker="@cert-authority"):
    return f"{marker} {name} ssh-ed25519 {base64.b64encode(authority).decode()}"


def test_known_by_an_authority(made, file):
    """As in ssh, names with a port come first, and a wrong key of the machine itself beside them does not matter."""
    blob, authority = made("-h", "-n", "board.lab")
    known.verify("lab", hop(**file(line(authority))), shown(blob), None)
    known.verify("lab", hop(**file(line(authority)), port=2222), shown(blob), None)
    known.verify("lab", hop(**file(line(authority, "[*.lab]:2222")), port=2222), shown(blob), None)
    with pytest.raises(HostUnreachable, match="is not in"):
        known.verify("lab", hop(**file(line(authority, "other"))), shown(blob), None)
    with pytest.raises(HostUnreachable, match="@revoked"):
        known.verify("lab", hop(**file(line(authority), line(authority, "*", "@revoked"))), shown(blob), None)
    blob, authority = made("-h", "-n", "x")
    with pytest.raises(HostUnreachable, match=r"a certificate that is refused: it is for 'x'"):
        known.verify("lab", hop(**file(line(authority))), shown(blob), None)


@pytest.mark.parametrize("revoked", ["ca.pub", "key.pub", "key-cert.pub"])
@pytest.mark.parametrize("form", ["list", "krl"])
def test_revoked(made, file, tmp_path, form, revoked):
    """RevokedHostKeys has the key, the certificate or its authority."""
    blob, authority = made("-h", "-n", "board.lab")
    path = tmp_path / revoked
    if form == "krl":
        keygen("-k", "-f", tmp_path / "krl", path)
        path = tmp_path / "krl"
    with pytest.raises(HostUnreachable, match="is refused by RevokedHostKeys"):
        known.verify("lab", hop(**file(line(authority)), revoked=path), shown(blob), None)


@pytest.mark.parametrize(
    ("script", "is_known"),
    [
        ('echo "$1 $4 $3"', True),
        ('test "$2" = HOSTNAME && echo "$1 $4 $3"', True),
        ('echo "@revoked * $4 $3"; echo "$1 $4 $3"', False),
        ('echo "other $4 $3"', False),
        ('echo "$1 $4 $3"; exit 1', False),
        ("kill -9 $$", False),
    ],
)
def test_known_hosts_command(made, file, command, script, is_known):
    """What it prints counts like a file, if it succeeds."""
    blob, _ = made("-h", "-n", "board.lab")
    machine = hop(**file(), known_command=command(script), port=2222)
    plain = shown(shown(blob).asbytes())
    if is_known:
        known.verify("lab", machine, plain, None)
    else:
        with pytest.raises((HostUnreachable, ValueError), match=r"not in|withdrawn|KnownHostsCommand failed"):
            known.verify("lab", machine, plain, None)


@pytest.mark.parametrize(
    ("print_key", "is_known"), [("$4 $3", False), ("ssh-ed25519 {plain}", True), ("@cert-authority", True)]
)
def test_known_hosts_command_of_a_certificate(made, file, command, print_key, is_known):
    """It is shown the certificate, and the fingerprint of its key, and a line with a certificate is no key."""
    blob, authority = made("-h", "-n", "board.lab")
    key = shown(blob)
    plain, whole = (base64.b64encode(data).decode() for data in (key.asbytes(), blob))
    printed = line(authority) if "authority" in print_key else f"$1 {print_key.format(plain=plain)}"
    exact = f'test "$3 $4 $5" = "{whole} {key.public_blob.key_type} {known.fingerprint(key.asbytes())}"'
    machine = hop(**file(), known_command=command(f'{exact} && echo "{printed}"'))
    if is_known:
        known.verify("lab", machine, key, None)
    else:
        with pytest.raises(HostUnreachable, match="KnownHostsCommand prints ssh-ed25519-cert"):
            known.verify("lab", machine, key, None)


@pytest.fixture
def command(tmp_path):
    """command(script): KnownHostsCommand with all tokens that depend on the key."""

    def write(script):
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return (str(program), "\0H", "\0I", "\0K", "\0t", "\0f")

    return write
