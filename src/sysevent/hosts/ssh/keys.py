"""The user's keys that are tried at a machine: files, their certificates, and what an agent holds."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko
import paramiko.agent

from sysevent.hosts.ssh import known
from sysevent.hosts.ssh.route import Hop

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
# Seconds for an agent to answer, which may ask its user.
_AGENT_PATIENCE = 20


def usable(hop: Hop, unusable: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield names and keys to try: the hop's own files, then the usual ones, then the agent's.

    Appends the name of each file that is not a usable key, and of an agent that does not answer, to unusable, with the
    reason.
    """
    usual = [Path.home() / ".ssh" / name for name in _DEFAULT_KEYS] if hop.agent or not hop.identities else []
    for path in dict.fromkeys((*hop.identities, *usual)):
        if path in usual and path not in hop.identities and not path.exists():
            continue
        if _key_in(path):
            # A public key: only an agent can sign with its private half.
            continue
        try:
            key = paramiko.PKey.from_path(path)
        except paramiko.PasswordRequiredException:
            unusable.append(f"{path} (locked: ssh-add it)")
        except (OSError, ValueError, TypeError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
            # cryptography raises TypeError when the passphrase is missing.
            locked = isinstance(error, TypeError) or "password" in str(error).lower()
            why = "locked: ssh-add it" if locked else getattr(error, "strerror", None) or str(error)
            unusable.append(f"{path} ({why})")
        else:
            yield from _with_certificates(path, key, hop, unusable)
    # The agent may hold the decrypted key of a locked file: compare their public keys.
    public_keys = {_public_key(path) for path in hop.identities}
    with contextlib.ExitStack() as closing:
        held: Sequence[paramiko.PKey] = ()
        try:
            held = closing.enter_context(_agent_keys(hop.agent_socket))
        except (OSError, EOFError, paramiko.SSHException) as error:
            why = getattr(error, "strerror", None) or str(error)
            unusable.append(f"the agent at {hop.agent_socket or 'SSH_AUTH_SOCK'} ({why})")
        for key in held:
            if hop.agent or key.asbytes() in public_keys:
                yield f"the agent's {key.get_name()} {known.fingerprint(key.asbytes())}", key


def _with_certificates(
    path: Path, key: paramiko.PKey, hop: Hop, unusable: list[str]
) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield a key with each certificate of the hop that is for it, then as paramiko has read it."""
    for certificate in hop.certificates:
        try:
            blob = paramiko.pkey.PublicBlob.from_file(str(certificate))
            certified = paramiko.Message(blob.key_blob)
            # The type, a nonce, and then the key as in a public key (OpenSSH, PROTOCOL.certkeys).
            certified.get_text()
            certified.get_string()
            if not certified.get_remainder().startswith(_numbers(key)):
                continue
            # Of its own: the one below must stay without it.
            other = paramiko.PKey.from_path(path)
            other.load_certificate(str(certificate))
        except (OSError, ValueError, IndexError, paramiko.SSHException) as error:
            unusable.append(f"{certificate} ({getattr(error, 'strerror', None) or error})")
        else:
            yield f"{path} with {certificate}", other
    yield str(path), key


def _numbers(key: paramiko.PKey) -> bytes:
    """Return the bytes of a public key behind its type."""
    message = paramiko.Message(key.asbytes())
    message.get_text()
    return bytes(message.get_remainder())


@contextlib.contextmanager
def _agent_keys(path: str) -> Iterator[Sequence[paramiko.PKey]]:
    """Give the keys of an agent, which can sign while the context lasts.

    path: its socket; "": that of SSH_AUTH_SOCK, if it is set; "none": no agent. OSError or SSHException if it does not
    answer.
    """
    path = path or os.environ.get("SSH_AUTH_SOCK", "")
    if path in ("", "none"):
        yield ()
        return
    # paramiko.Agent knows no other socket than that of SSH_AUTH_SOCK.
    agent = paramiko.agent.AgentSSH()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_AGENT_PATIENCE)
        connection.connect(path)
        agent._connect(connection)
        yield agent.get_keys()


def _public_key(path: Path) -> bytes:
    """Return the public key in a file, or in the one beside a private key; b"" when there is none.

    IdentityFile may name a public key, whose private half only an agent has.
    """
    return _key_in(path) or _key_in(path.with_name(f"{path.name}.pub"))


def _key_in(file: Path) -> bytes:
    with contextlib.suppress(OSError, ValueError):
        kind, blob = file.read_text(encoding="utf-8").split()[:2]
        key = base64.b64decode(blob, validate=True)
        # A public key begins with its type as a string of SSH.
        if key.startswith(len(kind).to_bytes(4, "big") + kind.encode()):
            return key
    return b""
