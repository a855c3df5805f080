"""Certificates of hosts (OpenSSH, PROTOCOL.certkeys): what one says, and whether an authority of known_hosts signed it.

paramiko negotiates them and proves that the machine has the private key; it does not look at what the certificate says.
The rules are those of sshkey_cert_check_host() in OpenSSH, but a certificate without names is refused.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence

import msgspec
import paramiko

from sysevent.hosts.ssh.route import Hop

# The end of the name of a certificate's type.
SUFFIX = "-cert-v01@openssh.com"
# The number of strings that a public key has in a certificate, by the start of its type.
_KEY_STRINGS = {"ssh-ed25519": 1, "ecdsa-sha2-": 2, "ssh-rsa": 2}
_HOST = 2
# What ssh takes without CASignatureAlgorithms and paramiko can check: not SHA-1.
_ALGORITHMS = (
    "ssh-ed25519",
    *("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)


class Certificate(msgspec.Struct, frozen=True):
    """The fields of a certificate that decide whether it is valid."""

    # As it is in known_hosts: type and content.
    type: str
    blob: bytes
    # 2 for a machine.
    kind: int
    principals: tuple[str, ...]
    # Seconds since the epoch; the second is after the last valid one.
    since: int
    until: int
    critical: bytes
    # The public key of the authority.
    authority: bytes
    # What it signed, and the signature, which begins with its algorithm.
    signed: bytes
    signature: bytes


class _Reader:
    """Reads the fields of a message of SSH (RFC 4251, section 5); ValueError at its end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        found = self.data[self.at : self.at + size]
        if len(found) != size:
            raise ValueError("it is cut off")
        self.at += size
        return found

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def strings(self) -> list[str]:
        """Return the strings in the rest, as text."""
        found = []
        while self.at < len(self.data):
            found.append(self.string().decode("utf-8", "replace"))
        return found


def parse(blob: bytes) -> Certificate:
    """Return a certificate; ValueError if it is damaged or of another type."""
    reader = _Reader(blob)
    kind = reader.string().decode("ascii", "replace")
    plain = kind.removesuffix(SUFFIX)
    count = next((n for start, n in _KEY_STRINGS.items() if plain.startswith(start)), 0)
    if plain == kind or not count:
        raise ValueError(f"its type {kind} is not supported")
    # The nonce, then the public key.
    for _ in range(1 + count):
        reader.string()
    # The serial number.
    reader.number(8)
    number = reader.number()
    # The id.
    reader.string()
    principals = tuple(_Reader(reader.string()).strings())
    since, until, critical = reader.number(8), reader.number(8), reader.string()
    # Extensions, and a reserved field.
    reader.string(), reader.string()
    authority = reader.string()
    end = reader.at
    signature = reader.string()
    if reader.at != len(blob):
        raise ValueError("there are bytes behind it")
    return Certificate(
        kind, blob, number, principals, since, until, critical, authority, blob[:end], signature
    )


def refusal(certificate: Certificate, hop: Hop, authorities: Collection[bytes], now: float) -> str:
    """Return why a certificate does not show that a machine is this hop; "" if it does.

    authorities: the public keys of those that known_hosts has for it. now: in seconds since the epoch.
    """
    if certificate.authority not in authorities:
        return "its authority is not one that known_hosts has for this machine"
    if certificate.kind != _HOST:
        return "it is not that of a machine"
    if not certificate.since <= now < certificate.until:
        return "it is not valid yet" if now < certificate.since else "it has expired"
    if certificate.critical:
        return "it has critical options, which are not known"
    name = hop.alias or hop.address.lower()
    if not any(_matches(name, pattern) for pattern in certificate.principals):
        return f"it is for {', '.join(map(repr, certificate.principals)) or 'no machine by name'}, not for {name}"
    return _signature_refusal(certificate, hop.ca_algorithms or _ALGORITHMS)


def _signature_refusal(certificate: Certificate, algorithms: Sequence[str]) -> str:
    try:
        algorithm = _Reader(certificate.signature).string().decode("ascii", "replace")
        if algorithm not in algorithms or algorithm not in _ALGORITHMS:
            return f"signatures by {algorithm!r} are not accepted"
        kind = _Reader(certificate.authority).string().decode("ascii", "replace")
        key = paramiko.PKey.from_type_string(kind, certificate.authority)
        is_valid = key.verify_ssh_sig(certificate.signed, paramiko.Message(certificate.signature))
    # cryptography and nacl raise exceptions of their own.
    except Exception as error:
        return f"its signature cannot be checked: {error}"
    return "" if is_valid else "its signature is wrong"


def _matches(name: str, pattern: str) -> bool:
    """Return whether a pattern with * and ? matches all of a name; brackets are literal."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
