"""The check of a machine's host key, or of its certificate, against known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

paramiko's HostKeys is not used: it keeps one key of each type for a host, and supports neither patterns nor revoked
keys. What KnownHostsCommand prints counts like a file.
"""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import hashlib
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import paramiko

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import certificates
from sysevent.hosts.ssh.certificates import Certificate
from sysevent.hosts.ssh.route import KEY_TOKENS, Hop
from sysevent.reading import read_file
from sysevent.text import one_line

# The start of a KRL (OpenSSH, PROTOCOL.krl); any other file is a list of public keys.
_KRL = b"SSHKRL\n\0"
# Bytes of a list of revoked keys.
_REVOCATIONS_MAX = 16 << 20
# Seconds for ssh-keygen.
_KEYGEN = 20
# Types as `ssh-keyscan -t` names them; all others are ecdsa.
_KEYSCAN = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


class KnownKey(msgspec.Struct, frozen=True):
    """One line of known_hosts that applies to a machine."""

    path: Path
    number: int
    type: str
    key: bytes
    revoked: bool
    # True: the key of an authority (@cert-authority), not of the machine.
    authority: bool = False

    def __str__(self) -> str:
        return f"{self.type} {fingerprint(self.key)} ({self.path}:{self.number})"


def fingerprint(key: bytes) -> str:
    """The fingerprint of a public key as `ssh-keygen -l` prints it: "SHA256:" and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def known_keys(name: str, files: Iterable[Path]) -> Iterator[KnownKey]:
    """The keys that known_hosts files have for a machine. Files that cannot be read are skipped."""
    for path in files:
        with contextlib.suppress(OSError):
            yield from _keys_in(path.read_text(encoding="utf-8", errors="replace"), name, path)


def _keys_in(text: str, name: str, path: Path) -> Iterator[KnownKey]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if (
            marker not in ("", "@revoked", "@cert-authority")
            or len(words) < 3
            or not _matches(name, words[0])
        ):
            continue
        with contextlib.suppress(ValueError):
            key = base64.b64decode(words[2], validate=True)
            yield KnownKey(path, number, words[1], key, marker == "@revoked", marker == "@cert-authority")


def _printed_keys(hop: Hop, name: str, key: paramiko.PKey | None) -> Iterator[KnownKey]:
    """The keys that KnownHostsCommand prints for a machine, none if it cannot be started. ValueError if it fails.

    key: what the machine shows; None before that, when the order of the types is asked for.
    """
    if not hop.known_command:
        return
    values = {"H": name, "I": "ORDER", "K": "NONE", "t": "NONE", "f": "NONE"}
    if key:
        certificate = key.public_blob
        # Of a certificate ssh gives all, and the fingerprint of its key.
        values |= {
            "I": "HOSTNAME",
            "K": base64.b64encode(certificate.key_blob if certificate else key.asbytes()).decode(),
            "t": certificate.key_type if certificate else key.get_name(),
            "f": fingerprint(key.asbytes()),
        }
    words = list(hop.known_command)
    for letter, placeholder in KEY_TOKENS.items():
        words = [word.replace(placeholder, values[letter]) for word in words]
    try:
        ran = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_KEYGEN,
            check=True,
        )
    except OSError:
        # ssh says so, and goes on.
        return
    except subprocess.SubprocessError as error:
        # Also where a file has the key: ssh does not connect either.
        raise ValueError(f"KnownHostsCommand failed: {error}") from error
    yield from _keys_in(ran.stdout.decode("utf-8", "replace"), name, Path(words[0]))


def _matches(name: str, patterns: str) -> bool:
    """Whether the first field of a line applies to a machine; a negated pattern that matches excludes it."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            with contextlib.suppress(ValueError, AssertionError):
                found = found or paramiko.HostKeys.hash_host(name, pattern) == pattern
            continue
        # Brackets are literal in known_hosts: "[host]:2222".
        plain = pattern.removeprefix("!").lower().replace("[", "[[]")
        if fnmatch.fnmatchcase(name.lower(), plain):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _known(hop: Hop, key: paramiko.PKey | None = None) -> tuple[list[KnownKey], list[KnownKey]]:
    """Return the lines for a machine, and if none has a key of it those for its name without the port, as ssh does.

    KnownHostsCommand is asked with the port only. ValueError if it fails.
    """
    found = [*_printed_keys(hop, hop.known_as, key), *known_keys(hop.known_as, hop.known_hosts)]
    if hop.alias or hop.port == 22 or _valid(found):
        return found, []
    return found, list(known_keys(hop.address.lower(), hop.known_hosts))


def _valid(lines: Iterable[KnownKey]) -> list[KnownKey]:
    """Return the lines with keys that are neither revoked nor of authorities."""
    return [line for line in lines if not line.revoked and not line.authority]


def key_types(hop: Hop) -> tuple[list[str], bool]:
    """The types of the keys that known_hosts has for a machine, and whether it has an authority for its certificates.

    Keys that are revoked or of authorities are left out. ValueError if KnownHostsCommand fails.
    """
    known = _known(hop)
    return [line.type for lines in known for line in _valid(lines)], any(
        line.authority for lines in known for line in lines
    )


def verify(target: str, hop: Hop, key: paramiko.PKey, via: Hop | None) -> None:
    """Raise HostUnreachable unless known_hosts has this key for this machine, or an authority of its certificate.

    via: the jump host before it, if any. The message has the fingerprints to compare and the command to paste.
    ValueError if KnownHostsCommand fails.
    """
    shown = key.asbytes()
    known, without_port = _known(hop, key)
    theirs = f"{key.get_name()} {fingerprint(shown)}"
    certificate, flaw = _certificate(key)
    keys = (shown, *((certificate.authority,) if certificate else ()))
    if withdrawn := [line for line in (*known, *without_port) if line.revoked and line.key in keys]:
        raise HostUnreachable(
            f"{target}: {hop} shows a key that is marked @revoked in {withdrawn[0].path}, or a certificate by one: "
            f"{theirs}: it was withdrawn, do not connect"
        )
    if hop.revoked is not None:
        _check_revocations(target, hop, key, certificate, hop.revoked)
    valid = _valid(known)
    if any(line.key == shown for line in (*valid, *_valid(without_port))):
        return
    # Those for the name alone only where there are none with the port, as in ssh.
    authorities = [line for line in known if line.authority] or [
        line for line in without_port if line.authority and not valid
    ]
    if certificate:
        flaw = certificates.refusal(certificate, hop, {line.key for line in authorities}, time.time())
        if not flaw:
            return
    command = _command_to_add(hop, key, via)
    compare = "Compare that with the output of `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the machine itself, then"
    if authorities:
        theirs += (
            f"; known is an authority ({authorities[0].path}:{authorities[0].number}), and the machine shows "
        )
        theirs += f"a certificate that is refused: {flaw}" if flaw else "no certificate"
    if not valid:
        raise HostUnreachable(
            f"{target}: the key of {hop} is not in {_names(hop)}: it shows {theirs}. {compare}: {command}"
        )
    if valid[0].path not in hop.known_hosts:
        raise HostUnreachable(
            f"{target}: the key of {hop} has CHANGED: it shows {theirs}, KnownHostsCommand prints "
            f"{' and '.join(map(str, valid))}. Either the connection is intercepted, or the machine was reinstalled, "
            "and the program does not know it yet"
        )
    file = shlex.quote(str(valid[0].path))
    raise HostUnreachable(
        f"{target}: the key of {hop} has CHANGED: it shows {theirs}, known is {' and '.join(map(str, valid))}. "
        "Either the connection is intercepted, or the machine was reinstalled. Only if you know that it was: "
        f"ssh-keygen -f {file} -R {shlex.quote(hop.known_as)} && {command}"
    )


def _certificate(key: paramiko.PKey) -> tuple[Certificate | None, str]:
    """Return the certificate that a machine shows with its key, or why it cannot be read; None and "" without one."""
    if key.public_blob is None:
        return None, ""
    try:
        return certificates.parse(key.public_blob.key_blob), ""
    except ValueError as error:
        return None, str(error)


def _check_revocations(
    target: str, hop: Hop, key: paramiko.PKey, certificate: Certificate | None, revocations: Path
) -> None:
    """Raise HostUnreachable unless a list or KRL of revoked keys can be read and has nothing that is shown."""
    shown = [(key.get_name(), key.asbytes())]
    if certificate:
        # The type of an authority's key is in its content, too, and ssh-keygen compares the two.
        size = int.from_bytes(certificate.authority[:4], "big")
        kind = certificate.authority[4 : 4 + size].decode("ascii", "replace")
        shown += [(certificate.type, certificate.blob), (kind, certificate.authority)]
    try:
        content = read_file(revocations, _REVOCATIONS_MAX)
        reasons = (_revoked(kind, public, content, revocations) for kind, public in shown)
        reason = next(filter(None, reasons), "")
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise HostUnreachable(
            f"{target}: the key of {hop}, {key.get_name()} {fingerprint(key.asbytes())}, is refused by RevokedHostKeys "
            f"{revocations}: {reason}"
        )


def _revoked(kind: str, key: bytes, content: bytes, path: Path) -> str:
    """Return why a key or certificate counts as revoked; "" if it does not. A KRL is read by ssh-keygen."""
    public = base64.b64encode(key).decode()
    if not content.startswith(_KRL):
        return "REVOKED" if public.encode() in content else ""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pub") as file:
        file.write(f"{kind} {public}\n")
        file.flush()
        words = ["ssh-keygen", "-Q", "-f", str(path), file.name]
        ran = subprocess.run(
            words, capture_output=True, stdin=subprocess.DEVNULL, timeout=_KEYGEN, check=False
        )
        said = os.fsdecode(ran.stdout + ran.stderr).strip().replace(file.name, "its key")
    return (one_line(said)[:300] or "ssh-keygen failed") if ran.returncode else ""


def _names(hop: Hop) -> str:
    """Return the file that a message names; the rest are searched as well."""
    return str(_writable(hop) or "any file of known hosts")


def _writable(hop: Hop) -> Path | None:
    """Return the first file of known hosts that can have a line; None if there is none, as with /dev/null."""
    return next((path for path in hop.known_hosts if not path.is_relative_to("/dev")), None)


def _command_to_add(hop: Hop, key: paramiko.PKey, via: Hop | None) -> str:
    """The shell command that adds a machine's key to known_hosts, run on the jump host if there is one."""
    kind = _KEYSCAN.get(key.get_name(), "ecdsa")
    scan = f"ssh-keyscan -t {kind} -p {hop.port} {hop.address}"
    if via is not None:
        scan = f"ssh -p {via.port} {via.user}@{via.address} {scan}"
    if hop.alias:
        scan += f" | sed 's/^[^ ]*/{hop.alias}/'"
    file = _writable(hop)
    if file is None or file.is_relative_to("/etc"):
        where = ", ".join(map(str, hop.known_hosts)) or "none"
        return (
            f'{scan} >> ~/.ssh/known_hosts, and `known_hosts = "~/.ssh/known_hosts"` in the target\'s row, because its '
            f"own files are {where} and host keys are always verified"
        )
    return f"{scan} >> {shlex.quote(str(file))}"
