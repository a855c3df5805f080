"""Host keys against known_hosts: a key is valid only for the names on its line."""

import base64
import shutil
import subprocess
from pathlib import Path

import paramiko
import pytest

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import known
from sysevent.hosts.ssh.route import Hop

KEYS = [paramiko.ECDSAKey.generate() for _ in range(2)]
TYPE = KEYS[0].get_name()


def text(key):
    return f"{key.get_name()} {key.get_base64()}"


def hop(path, address="board", port=22, **changes):
    return Hop("board", address, port, "me", (), True, (path,), **changes)


def check(path, key=KEYS[0], via=None, **changes):
    known.verify("lab", hop(path, **changes), key, via)


@pytest.fixture
def file(tmp_path):
    def write(*lines):
        path = tmp_path / "known_hosts"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.mark.parametrize(
    "names",
    [
        "board",
        "BOARD",
        "other,board",
        "b*",
        "?oard",
        "*,!other",
        # With an id, because the salt differs in each run.
        pytest.param(paramiko.HostKeys.hash_host("board"), id="hashed"),
    ],
)
def test_known(file, names):
    check(file("# a comment", "", f"{names} {text(KEYS[0])} and a comment"))


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"other {text(KEYS[0])}",
        f"board2 {text(KEYS[0])}",
        f"[board]:22 {text(KEYS[0])}",
        f"*,!board {text(KEYS[0])}",
        f"!board,* {text(KEYS[0])}",
        f"{paramiko.HostKeys.hash_host('other')} {text(KEYS[0])}",
        f"|1|broken|hash {text(KEYS[0])}",
        f"|1|x {text(KEYS[0])}",
        f"@cert-authority board {text(KEYS[0])}",
        f"board {TYPE} {text(KEYS[0]).split()[1][:-8]}",
        f"board {TYPE} not-base64!",
        f"board {TYPE} nicht-base64-ä",
        f"board {TYPE}",
        "board",
        "@revoked",
    ],
)
def test_unknown(file, line):
    with pytest.raises(HostUnreachable):
        check(file(line))


def test_other_port(file):
    path = file(f"[board]:2222 {text(KEYS[0])}")
    check(path, port=2222)
    with pytest.raises(HostUnreachable, match="is not in"):
        check(path)


def test_known_without_its_port(file):
    """As ssh: if there is no key for the port, one for the name alone counts, but a wrong one there says nothing."""
    check(file(f"board {text(KEYS[0])}"), port=2222)
    with pytest.raises(HostUnreachable, match="is not in"):
        check(file(f"board {text(KEYS[1])}"), port=2222)
    with pytest.raises(HostUnreachable, match="has CHANGED"):
        check(file(f"board {text(KEYS[0])}", f"[board]:2222 {text(KEYS[1])}"), port=2222)
    with pytest.raises(HostUnreachable, match="@revoked"):
        check(file(f"board {text(KEYS[0])}", f"@revoked board {text(KEYS[0])}"), port=2222)
    with pytest.raises(HostUnreachable, match="is not in"):
        check(file(f"board {text(KEYS[0])}"), port=2222, alias="rack")


def test_no_file(tmp_path):
    with pytest.raises(HostUnreachable, match="is not in"):
        check(tmp_path / "none")


def test_several_keys(file):
    """Any of them is valid, also two of one type: a lab may replace keys one after the other."""
    path = file(*(f"board {text(key)}" for key in KEYS))
    for key in KEYS:
        check(path, key)


def test_changed(file):
    path = file("#", f"board {text(KEYS[1])}")
    with pytest.raises(HostUnreachable) as caught:
        check(path)
    message = str(caught.value)
    assert "has CHANGED" in message
    for key in KEYS:
        assert known.fingerprint(key.asbytes()) in message
    assert f"({path}:2)" in message
    assert message.endswith(f"ssh-keygen -f {path} -R board && ssh-keyscan -t ecdsa -p 22 board >> {path}")


def test_revoked(file):
    """A revoked key is refused, also when another line has it."""
    with pytest.raises(HostUnreachable, match="@revoked"):
        check(file(f"board {text(KEYS[0])}", f"@revoked * {text(KEYS[0])}"))
    check(file(f"board {text(KEYS[0])}", f"@revoked * {text(KEYS[1])}"))


def test_authority(file):
    """The key of an authority is not the machine's own, and a machine may have no certificate."""
    path = file(f"@cert-authority *.lab,board {text(KEYS[1])}")
    with pytest.raises(
        HostUnreachable,
        match=rf"known is an authority \({path}:1\), and the machine shows no cert.*ssh-keyscan .* >> {path}",
    ):
        check(path)
    assert known.key_types(hop(path)) == ([], True)
    with pytest.raises(HostUnreachable):
        check(path, KEYS[1])
    check(file(f"@cert-authority board {text(KEYS[1])}", f"board {text(KEYS[0])}"))


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
@pytest.mark.parametrize("form", ["list", "krl"])
def test_revocations(file, tmp_path, form):
    """RevokedHostKeys is a list of keys or a KRL; a file that cannot be read refuses every key, as in ssh."""
    revoked = tmp_path / "revoked"
    revoked.write_text(f"{text(KEYS[1])}\n")
    if form == "krl":
        subprocess.run(["ssh-keygen", "-q", "-k", "-f", tmp_path / "krl", revoked], check=True, timeout=60)
        revoked = tmp_path / "krl"
    path = file(*(f"board {text(key)}" for key in KEYS))
    check(path, revoked=revoked)
    with pytest.raises(HostUnreachable, match=r"is refused by RevokedHostKeys .*REVOKED"):
        check(path, KEYS[1], revoked=revoked)
    with pytest.raises(HostUnreachable, match="is refused by RevokedHostKeys"):
        check(path, revoked=tmp_path / "none")


def test_advice_without_a_file_to_write_to(tmp_path):
    """As with UserKnownHostsFile /dev/null: host keys are verified all the same, and the target's row names a file."""
    with pytest.raises(HostUnreachable) as caught:
        known.verify("lab", Hop("board", "board", 22, "me", (), True, (Path("/dev/null"),)), KEYS[0], None)
    assert ">> ~/.ssh/known_hosts, and `known_hosts = " in str(caught.value)
    assert "host keys are always verified" in str(caught.value)


def test_alias(file):
    """HostKeyAlias replaces address and port, also in the command that adds the key."""
    check(file(f"rack {text(KEYS[0])}"), port=2222, alias="rack")
    with pytest.raises(
        HostUnreachable, match=r"ssh-keyscan -t ecdsa -p 2222 board \| sed 's/\^\[\^ \]\*/rack/' >> "
    ):
        check(file(f"board {text(KEYS[0])}"), port=2222, alias="rack")


def test_behind_a_jump_host(file):
    path = file("")
    door = Hop("door", "10.0.0.1", 2200, "me", (), True, (path,))
    with pytest.raises(
        HostUnreachable, match=r"then: ssh -p 2200 me@10\.0\.0\.1 ssh-keyscan -t ecdsa -p 22 board >> "
    ):
        check(path, via=door)


def test_fingerprints_are_those_of_ssh_keygen(tmp_path):
    path = tmp_path / "key.pub"
    path.write_text(text(KEYS[0]))
    try:
        ran = subprocess.run(
            ["ssh-keygen", "-lf", path], capture_output=True, text=True, timeout=60, check=True
        )
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed: apt-get install openssh-client")
    assert known.fingerprint(base64.b64decode(KEYS[0].get_base64())) == ran.stdout.split()[1]


def test_key_types(file):
    path = file(f"other ssh-rsa AAAA {text(KEYS[0])}", f"board {text(KEYS[0])}", "board ssh-ed25519 AAAA")
    assert known.key_types(hop(path)) == ([TYPE, "ssh-ed25519"], False)
