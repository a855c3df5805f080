"""Whether a machine shows the key that known_hosts has of it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

Read here and not by paramiko's HostKeys, which knows one key of a type for each host and neither patterns nor
revoked keys. Certificates (@cert-authority) are not understood: such a machine's own key must be listed.
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

_KEYSCAN = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}  # what ssh-keyscan -t calls a type; others are ecdsa


class Known(msgspec.Struct, frozen=True):
    """One line that is about a machine."""

    path: Path
    number: int
    type: str
    key: bytes
    revoked: bool

    def __str__(self) -> str:
        return f"{self.type} {fingerprint(self.key)} ({self.path}:{self.number})"


def fingerprint(key: bytes) -> str:
    """As ssh-keygen -l shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def lines(name: str, files: Iterable[Path]) -> Iterator[Known]:
    """What the files have about a machine. One that is not there has nothing."""
    for path in files:
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace")
            for number, line in enumerate(text.splitlines(), 1):
                words = line.split()
                if not words or words[0].startswith("#"):
                    continue
                marker = words.pop(0) if words[0].startswith("@") else ""
                if marker not in ("", "@revoked") or len(words) < 3 or not _about(name, words[0]):
                    continue
                with contextlib.suppress(ValueError):
                    key = base64.b64decode(words[2], validate=True)
                    yield Known(path, number, words[1], key, marker == "@revoked")


def _about(name: str, patterns: str) -> bool:
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            with contextlib.suppress(ValueError, AssertionError):
                found = found or paramiko.HostKeys.hash_host(name, pattern) == pattern
            continue
        # Brackets are literal there: "[host]:2222".
        plain = pattern.removeprefix("!").lower().replace("[", "[[]")
        if fnmatch.fnmatchcase(name.lower(), plain):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def types(hop: Hop) -> list[str]:
    """The types of key under which a machine is known: it should be asked for one of these."""
    return [known.type for known in lines(hop.known_as, hop.known_hosts) if not known.revoked]


def check(target: str, hop: Hop, key: paramiko.PKey, via: Hop | None) -> None:
    """HostUnreachable unless known_hosts has this key of this machine; says what to compare and what to type."""
    shown = key.asbytes()
    known = list(lines(hop.known_as, hop.known_hosts))
    if any(line.revoked and line.key == shown for line in known):
        raise HostUnreachable(
            f"{target}: {hop} shows a key that is marked @revoked in {hop.known_hosts[0]}: "
            f"{key.get_name()} {fingerprint(shown)}. It was withdrawn: do not connect"
        )
    valid = [line for line in known if not line.revoked]
    if any(line.key == shown for line in valid):
        return
    learn = _learn(hop, key, via)
    theirs = f"{key.get_name()} {fingerprint(shown)}"
    if not valid:
        raise HostUnreachable(
            f"{target}: the key of {hop} is not in {hop.known_hosts[0]}: it shows {theirs}. Compare that with what "
            f"`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` says on the machine itself, then: {learn}"
        )
    file = shlex.quote(str(valid[0].path))
    raise HostUnreachable(
        f"{target}: the key of {hop} has CHANGED: it shows {theirs}, known is {' and '.join(map(str, valid))}. "
        "Either somebody stands in between, or the machine was installed anew. Only if you know that it was: "
        f"ssh-keygen -f {file} -R {shlex.quote(hop.known_as)} && {learn}"
    )


def _learn(hop: Hop, key: paramiko.PKey, via: Hop | None) -> str:
    """The line that adds a machine's key."""
    kind = _KEYSCAN.get(key.get_name(), "ecdsa")
    scan = f"ssh-keyscan -t {kind} -p {hop.port} {hop.address}"
    if via is not None:
        scan = f"ssh -p {via.port} {via.user}@{via.address} {scan}"
    if hop.alias:
        scan += f" | sed 's/^[^ ]*/{hop.alias}/'"
    return f"{scan} >> {shlex.quote(str(hop.known_hosts[0]))}"
