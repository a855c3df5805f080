"""SSH connections to a target through its jump hosts. Each machine is verified before the login there."""

from __future__ import annotations

import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

import paramiko
import tenacity

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import key_order, keys, known
from sysevent.hosts.ssh.route import Hop
from sysevent.process import die_with_parent

TRIES = 3
# Seconds between two keepalive packets.
_KEEPALIVE = 15
# Values of AddressFamily.
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# Seconds before the second try; twice that before the third.
_WAIT = 0.5

# Our own messages say what failed. Without a handler paramiko's tracebacks would go to the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class _Ordered(paramiko.Transport):  # type: ignore[misc]
    """A transport that asks a machine for host keys in a given order, with certificates in it."""

    order: tuple[str, ...] = ()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """The algorithms in that order; before it is given, all that paramiko can check."""
        return self.order or tuple(super().preferred_keys)


class TemporarilyUnreachable(HostUnreachable):
    """A connection failed in a way that another try may not: the network, or a machine that is starting."""


class Connection:
    """A connection to one machine through its jump hosts. Another thread may call close(), which ends open()."""

    def __init__(self, target: str, hops: Sequence[Hop], seconds: float) -> None:
        self._target = target
        self._hops = hops
        self._seconds = seconds
        self._transports: list[paramiko.Transport] = []
        self._proxy: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def transport(self) -> paramiko.Transport:
        """The transport to the target itself."""
        return self._transports[-1]

    @property
    def alive(self) -> bool:
        """Whether the connections to all hops are up."""
        return len(self._transports) == len(self._hops) and all(t.is_active() for t in self._transports)

    def open(self) -> None:
        """Connect and log in to every hop. At most the seconds of the constructor.

        Raises TemporarilyUnreachable when another try may succeed, HostUnreachable otherwise.
        """
        end = time.monotonic() + self._seconds
        for index, hop in enumerate(self._hops):
            try:
                self._open_hop(hop, self._hops[index - 1] if index else None, end)
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise TemporarilyUnreachable(self._failure(hop, error)) from error
            except ValueError as error:
                raise HostUnreachable(f"{self._target}: {hop} cannot be verified: {error}") from error

    def _open_hop(self, hop: Hop, via: Hop | None, end: float) -> None:
        def left() -> float:
            if self._closed or time.monotonic() > end:
                raise TimeoutError
            return end - time.monotonic()

        # Before there is a connection to lose: it may fail.
        types, has_authority = known.key_types(hop)
        transport = _Ordered(self._open_socket(hop, left()))
        self._transports.append(transport)
        if self._closed:
            transport.close()
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = left()
        able = transport.preferred_keys
        transport.order = key_order.as_ssh(able, hop.key_algorithms, types, has_authority=has_authority)
        transport.start_client(timeout=left())
        key = transport.get_remote_server_key()
        known.verify(self._target, hop, key, via)
        self._log_in(transport, hop, left)
        transport.set_keepalive(_KEEPALIVE)

    def _open_socket(self, hop: Hop, seconds: float) -> socket.socket | paramiko.Channel:
        if self._transports:
            destination = (hop.address, hop.port)
            return self._transports[-1].open_channel(
                "direct-tcpip", destination, ("127.0.0.1", 0), timeout=seconds
            )
        if not hop.command:
            return _connected(hop, seconds)
        ours, theirs = socket.socketpair()
        with theirs:
            # Dies with the thread that runs this, which hosts/ssh/host.py keeps until close().
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
        for name, key in keys.usable(hop, tried):
            left()
            try:
                more = transport.auth_publickey(hop.user, key)
            except paramiko.BadAuthenticationType as error:
                raise HostUnreachable(
                    f"{self._target}: {hop} accepts no public keys, only {', '.join(error.allowed_types)}: allow "
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
                f"{self._target}: {hop} requires {', '.join(more)} in addition to a key, which a run cannot give: "
                f"let {hop.user} log in with a key alone"
            )
        raise HostUnreachable(
            f"{self._target}: {hop} does not let {hop.user} log in; tried "
            f"{', '.join(tried) or 'no key, because none was found'}: "
            f"put a public key there (ssh-copy-id -p {hop.port} {hop.user}@{hop.address}), load it into the agent "
            "(ssh-add), or correct user or identity in the target file"
        )

    def _failure(self, hop: Hop, error: Exception) -> str:
        match error:
            case _ if self._closed:
                reason = "cancelled"
            case socket.gaierror():
                reason = (
                    f"its name cannot be resolved ({error.strerror}): correct address, or give it a HostName"
                )
            case ConnectionRefusedError():
                reason = "connection refused: is the machine up, and sshd running?"
            case TimeoutError():
                reason = f"no answer within {self._seconds:.0f} s (`connect`): is it switched on, and the network up?"
            case paramiko.ChannelException():
                reason = f"the jump host cannot reach it: {error.text}"
            case EOFError():
                reason = "it closed the connection"
            case paramiko.SSHException() if "protocol banner" in str(error):
                reason = (
                    f"no SSH banner within {self._seconds:.0f} s (`connect`), or it closed the connection"
                )
            case _:
                reason = str(error) or repr(error)
        if hop.command:
            reason += f" (through ProxyCommand {hop.command})"
        return f"{self._target}: no connection to {hop}: {reason}"

    def close(self) -> None:
        """End the connection, its threads and its ProxyCommand. Safe to call several times, from any thread."""
        self._closed = True
        for transport in reversed(self._transports):
            transport.close()
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait(10)


def _connected(hop: Hop, seconds: float) -> socket.socket:
    """Return a connection from the hop's BindAddress, to an address of its AddressFamily. Raises OSError."""
    source = (hop.bind, 0) if hop.bind else None
    if (family := _FAMILIES.get(hop.family)) is None:
        return socket.create_connection((hop.address, hop.port), timeout=seconds, source_address=source)
    failed: OSError | None = None
    for *_, found in socket.getaddrinfo(hop.address, hop.port, family, socket.SOCK_STREAM):
        try:
            return socket.create_connection((str(found[0]), hop.port), timeout=seconds, source_address=source)
        except OSError as error:
            failed = error
    raise failed or OSError(f"it has no address of {hop.family}")


def connect(
    target: str,
    hops: Sequence[Hop],
    seconds: float,
    *,
    on_try: Callable[[Connection], None],
    on_failure: Callable[[str], None],
    stop: threading.Event,
) -> Connection:
    """An open connection after at most TRIES, each of at most seconds; no further one once stop is set.

    on_try gets each connection before it is opened, on_failure the message of each failed one but the last.
    Raises HostUnreachable.
    """

    def open_once() -> Connection:
        connection = Connection(target, hops, seconds)
        on_try(connection)
        try:
            connection.open()
        except BaseException:
            connection.close()
            raise
        return connection

    def report(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        on_failure(str(error))

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TemporarilyUnreachable),
        stop=tenacity.stop_after_attempt(TRIES) | tenacity.stop_when_event_set(stop),
        wait=tenacity.wait_exponential(multiplier=_WAIT),
        before_sleep=report,
        sleep=tenacity.nap.sleep_using_event(stop),
        reraise=True,
    )
    try:
        return retrying(open_once)
    except TemporarilyUnreachable as error:
        raise HostUnreachable(str(error)) from error
