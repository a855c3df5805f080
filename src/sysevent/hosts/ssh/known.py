"""The check of a machine's host key against known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

paramiko's HostKeys is not used: it keeps one key of each type for a host, and supports neither patterns nor revoked
keys. Certificates (@cert-authority) are not supported here: known_hosts must have the machine's own key.
"""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import hashlib
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import paramiko

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh.route import Hop

# Types as `ssh-keyscan -t` names them; all others are ecdsa.
_KEYSCAN = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


class KnownKey(msgspec.Struct, frozen=True):
    """One line of known_hosts that applies to a machine."""

    path: Path
    number: int
    type: str
    key: bytes
    revoked: bool

    def __str__(self) -> str:
        return f"{self.type} {fingerprint(self.key)} ({self.path}:{self.number})"


def fingerprint(key: bytes) -> str:
    """The fingerprint of a public key as `ssh-keygen -l` prints it: "SHA256:" and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def known_keys(name: str, files: Iterable[Path]) -> Iterator[KnownKey]:
    """The keys that known_hosts files have for a machine. Files that cannot be read are skipped."""
    for path in files:
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace")
            for number, line in enumerate(text.splitlines(), 1):
                words = line.split()
                if not words or words[0].startswith("#"):
                    continue
                marker = words.pop(0) if words[0].startswith("@") else ""
                if marker not in ("", "@revoked") or len(words) < 3 or not _matches(name, words[0]):
                    continue
                with contextlib.suppress(ValueError):
                    key = base64.b64decode(words[2], validate=True)
                    yield KnownKey(path, number, words[1], key, marker == "@revoked")


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


def key_types(hop: Hop) -> list[str]:
    """The types of the keys that known_hosts has for a machine, revoked ones excluded."""
    return [known.type for known in known_keys(hop.known_as, hop.known_hosts) if not known.revoked]


def verify(target: str, hop: Hop, key: paramiko.PKey, via: Hop | None) -> None:
    """Raise HostUnreachable unless known_hosts has this key for this machine.

    via: the jump host before it, if any. The message has the fingerprints to compare and the command to paste.
    """
    shown = key.asbytes()
    known = list(known_keys(hop.known_as, hop.known_hosts))
    if any(line.revoked and line.key == shown for line in known):
        raise HostUnreachable(
            f"{target}: {hop} shows a key that is marked @revoked in {hop.known_hosts[0]}: "
            f"{key.get_name()} {fingerprint(shown)}: it was withdrawn, do not connect"
        )
    valid = [line for line in known if not line.revoked]
    if any(line.key == shown for line in valid):
        return
    command = _command_to_add(hop, key, via)
    theirs = f"{key.get_name()} {fingerprint(shown)}"
    if not valid:
        raise HostUnreachable(
            f"{target}: the key of {hop} is not in {hop.known_hosts[0]}: it shows {theirs}. Compare that with the "
            f"output of `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the machine itself, then: {command}"
        )
    file = shlex.quote(str(valid[0].path))
    raise HostUnreachable(
        f"{target}: the key of {hop} has CHANGED: it shows {theirs}, known is {' and '.join(map(str, valid))}. "
        "Either the connection is intercepted, or the machine was reinstalled. Only if you know that it was: "
        f"ssh-keygen -f {file} -R {shlex.quote(hop.known_as)} && {command}"
    )


def _command_to_add(hop: Hop, key: paramiko.PKey, via: Hop | None) -> str:
    """The shell command that adds a machine's key to known_hosts, run on the jump host if there is one."""
    kind = _KEYSCAN.get(key.get_name(), "ecdsa")
    scan = f"ssh-keyscan -t {kind} -p {hop.port} {hop.address}"
    if via is not None:
        scan = f"ssh -p {via.port} {via.user}@{via.address} {scan}"
    if hop.alias:
        scan += f" | sed 's/^[^ ]*/{hop.alias}/'"
    return f"{scan} >> {shlex.quote(str(hop.known_hosts[0]))}"
