"""From here to a target, hop by hop: each machine is verified before it is told who we are."""

from __future__ import annotations

import base64
import contextlib
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import paramiko
import tenacity

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import known
from sysevent.hosts.ssh.route import Hop
from sysevent.process import die_with_parent

TRIES = 3
_KEEPALIVE = 15  # seconds
_WAIT = 0.5  # seconds before the second try, twice that before the third
_USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")

# What it has to tell comes in our messages; without a handler its tracebacks would go to the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Again(HostUnreachable):
    """It did not work this time: the network, or a machine that is just starting."""


class Connection:
    """A way to one machine, through others. close() may come from another thread and ends what is under way."""

    def __init__(self, target: str, hops: Sequence[Hop], seconds: float) -> None:
        self._target = target
        self._hops = hops
        self._seconds = seconds
        self._transports: list[paramiko.Transport] = []
        self._proxy: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def transport(self) -> paramiko.Transport:
        """To the last machine."""
        return self._transports[-1]

    @property
    def alive(self) -> bool:
        return len(self._transports) == len(self._hops) and all(t.is_active() for t in self._transports)

    def open(self) -> None:
        """Be let in by every machine on the way. Again when another try may help, HostUnreachable otherwise."""
        end = time.monotonic() + self._seconds
        for index, hop in enumerate(self._hops):
            try:
                self._hop(hop, self._hops[index - 1] if index else None, end)
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise Again(self._why(hop, error)) from error

    def _hop(self, hop: Hop, via: Hop | None, end: float) -> None:
        def left() -> float:
            if self._closed or time.monotonic() > end:
                raise TimeoutError
            return end - time.monotonic()

        transport = paramiko.Transport(self._line(hop, left()))
        self._transports.append(transport)
        if self._closed:
            transport.close()
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = left()
        _prefer(transport, known.types(hop))
        transport.start_client(timeout=left())
        key = transport.get_remote_server_key()
        known.check(self._target, hop, key, via)
        self._log_in(transport, hop, left)
        transport.set_keepalive(_KEEPALIVE)

    def _line(self, hop: Hop, seconds: float) -> socket.socket | paramiko.Channel:
        if self._transports:
            place = (hop.address, hop.port)
            return self._transports[-1].open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=seconds)
        if not hop.command:
            return socket.create_connection((hop.address, hop.port), timeout=seconds)
        ours, theirs = socket.socketpair()
        with theirs:
            # Dies with the thread that runs this: hosts/ssh/host.py keeps it until the end.
            self._proxy = subprocess.Popen(
                die_with_parent(["sh", "-c", f"exec {hop.command}"]),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return ours

    def _log_in(self, transport: paramiko.Transport, hop: Hop, left: Callable[[], float]) -> None:
        tried: list[str] = []
        for name, key in _keys(hop, tried):
            left()
            try:
                more = transport.auth_publickey(hop.user, key)
            except paramiko.BadAuthenticationType as error:
                raise HostUnreachable(
                    f"{self._target}: {hop} takes no keys, only {', '.join(error.allowed_types)}: allow "
                    "PubkeyAuthentication in its sshd_config"
                ) from error
            except paramiko.AuthenticationException:
                tried.append(f"{name} (refused)")
                if not transport.is_active():
                    break
                continue
            if not more:
                return
            raise HostUnreachable(
                f"{self._target}: {hop} wants {', '.join(more)} besides a key, which nobody is there to give"
            )
        raise HostUnreachable(
            f"{self._target}: {hop} does not let {hop.user} in; tried {', '.join(tried) or 'no key: there is none'}. "
            f"Put a public key there (ssh-copy-id -p {hop.port} {hop.user}@{hop.address}), load it into the agent "
            "(ssh-add), or correct user or identity in the target file"
        )

    def _why(self, hop: Hop, error: Exception) -> str:
        match error:
            case _ if self._closed:
                what = "given up"
            case socket.gaierror():
                what = (
                    f"its name cannot be resolved ({error.strerror}): correct address, or give it a HostName"
                )
            case ConnectionRefusedError():
                what = "nothing listens there: is the machine up, and sshd running?"
            case TimeoutError():
                what = f"no answer within {self._seconds:.0f} s (`connect`): is it switched on, and the network right?"
            case paramiko.ChannelException():
                what = f"the jump host cannot reach it: {error.text}"
            case EOFError():
                what = "it closed the connection"
            case paramiko.SSHException() if "protocol banner" in str(error):
                what = f"what listens there said nothing of SSH within {self._seconds:.0f} s (`connect`), or hung up"
            case _:
                what = str(error) or repr(error)
        if hop.command:
            what += f" (through ProxyCommand {hop.command})"
        return f"{self._target}: no connection to {hop}: {what}"

    def close(self) -> None:
        """No process and no thread of it is left. Any number of times."""
        self._closed = True
        for transport in reversed(self._transports):
            transport.close()
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait(10)


def connect(
    target: str,
    hops: Sequence[Hop],
    seconds: float,
    *,
    began: Callable[[Connection], None],
    told: Callable[[str], None],
    ending: threading.Event,
) -> Connection:
    """A connection after at most TRIES; told hears of those that failed, began of each before it waits."""

    def once() -> Connection:
        connection = Connection(target, hops, seconds)
        began(connection)
        try:
            connection.open()
        except BaseException:
            connection.close()
            raise
        return connection

    def failed(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        told(str(error))

    trying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Again),
        stop=tenacity.stop_after_attempt(TRIES) | tenacity.stop_when_event_set(ending),
        wait=tenacity.wait_exponential(multiplier=_WAIT),
        before_sleep=failed,
        sleep=tenacity.nap.sleep_using_event(ending),
        reraise=True,
    )
    try:
        return trying(once)
    except Again as error:
        raise HostUnreachable(str(error)) from error


def _prefer(transport: paramiko.Transport, wanted: Sequence[str]) -> None:
    """Ask for a key of a type that is known: a machine has several, and another one would look like a change."""
    names = [
        name
        for kind in wanted
        for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
    ]
    options = transport.get_security_options()
    first = [name for name in dict.fromkeys(names) if name in options.key_types]
    options.key_types = [*first, *(name for name in options.key_types if name not in first)]


def _keys(hop: Hop, unusable: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Keys to try, the named ones first; what is wrong with a file that is not one goes into unusable."""
    usual = [Path.home() / ".ssh" / name for name in _USUAL] if hop.agent or not hop.identities else []
    for path in dict.fromkeys((*hop.identities, *usual)):
        if path in usual and path not in hop.identities and not path.exists():
            continue
        try:
            yield str(path), paramiko.PKey.from_path(path)
        except paramiko.PasswordRequiredException:
            unusable.append(f"{path} (locked: ssh-add it)")
        except (OSError, ValueError, TypeError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
            # TypeError: cryptography's word for a passphrase that is missing
            locked = isinstance(error, TypeError) or "password" in str(error).lower()
            why = "locked: ssh-add it" if locked else getattr(error, "strerror", None) or str(error)
            unusable.append(f"{path} ({why})")
    # Those that are locked here may be open in the agent: their public halves tell which.
    halves = {_public(path) for path in hop.identities}
    agent = paramiko.Agent()
    with contextlib.closing(agent):
        for key in agent.get_keys():
            if hop.agent or key.asbytes() in halves:
                yield f"the agent's {key.get_name()} {known.fingerprint(key.asbytes())}", key


def _public(path: Path) -> bytes:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return base64.b64decode(path.with_name(f"{path.name}.pub").read_text().split()[1])
    return b""
