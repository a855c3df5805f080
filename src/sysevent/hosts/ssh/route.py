"""The route to a target: its jump hosts and the target itself. The only I/O is reading ~/.ssh/config."""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path

import msgspec
import paramiko

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import config
from sysevent.targets.spec import TargetSpec

# Jump hosts; more are a loop.
_DEPTH = 8
_SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_USER_KNOWN_HOSTS = ("known_hosts", "known_hosts2")
_JUMP = re.compile(r"(?:(?P<user>.+)@)?(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:]+|.*:.*:.*))(?::(?P<port>\d+))?")
# Raised for a configuration that paramiko cannot use. ImportError: `Match exec` needs another library.
_CONFIG_ERRORS = (
    paramiko.ssh_exception.ConfigParseError,
    paramiko.ssh_exception.CouldNotCanonicalize,
    ImportError,
    KeyError,
    OSError,
    ValueError,
)


class Hop(msgspec.Struct, frozen=True):
    """One machine to log in to."""

    # The name that the user gave it.
    name: str
    address: str
    port: int
    user: str
    # Private keys to try first.
    identities: tuple[Path, ...]
    # True: also try the agent's keys and the usual files.
    agent: bool
    # The first is the one that messages tell the user to correct.
    known_hosts: tuple[Path, ...]
    # HostKeyAlias; "": the key is known by the address.
    alias: str = ""
    # ProxyCommand; only the first hop has one.
    command: str = ""

    @property
    def known_as(self) -> str:
        """The machine's name in known_hosts."""
        if self.alias:
            return self.alias
        address = self.address.lower()
        return address if self.port == 22 else f"[{address}]:{self.port}"

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def route(spec: TargetSpec, home: Path) -> tuple[Hop, ...]:
    """The hops to a target, the target last. Keys of its row take precedence over ~/.ssh/config.

    The row's identity and known_hosts also apply to jump hosts, because a lab has one of each.
    Raises HostUnreachable when the row has no address or the configuration cannot be used.
    """
    if not spec.address:
        raise HostUnreachable(f"{spec.id}: the target has no address: give it one in the target file")
    try:
        return _hops(spec, config.read(home), home, spec.address, spec.user, spec.port, spec.jump, _DEPTH)
    except _CONFIG_ERRORS as error:
        path = home / ".ssh" / "config"
        raise HostUnreachable(f"{spec.id}: {path} cannot be used for {spec.address}: {error}") from error


def _hops(
    spec: TargetSpec,
    settings: str,
    home: Path,
    name: str,
    user: str,
    port: int,
    jump: str,
    depth: int,
) -> tuple[Hop, ...]:
    if depth == 0:
        raise ValueError(f"more than {_DEPTH} jump hosts, or a loop of them")
    # The first value of an option wins, also for the %-tokens of ProxyCommand.
    first = [f"Port {port}"] if port else []
    first += [f"User {user}"] if user else []
    options = paramiko.SSHConfig.from_text("\n".join(["Host *", *first, settings])).lookup(name)
    jump = jump or options.get("proxyjump") or ""
    before: tuple[Hop, ...] = ()
    command = ""
    if jump and jump.lower() != "none":
        rest, _, last = jump.rpartition(",")
        match = _JUMP.fullmatch(last.strip().removeprefix("ssh://"))
        if match is None:
            raise ValueError(f"jump = {last!r} is not [user@]host[:port]")
        via, via_user, via_port = match["six"] or match["host"], match["user"] or "", int(match["port"] or 0)
        before = _hops(spec, settings, home, via, via_user, via_port, rest, depth - 1)
    else:
        command = options.get("proxycommand") or ""
    named = [spec.identity] if spec.identity else options.get("identityfile", [])
    files = spec.known_hosts or options.get("userknownhostsfile", "")
    known = [_path(file, home) for file in files.split()] or [
        home / ".ssh" / name for name in _USER_KNOWN_HOSTS
    ]
    hop = Hop(
        name=name,
        address=options["hostname"],
        port=int(options.get("port", 22)),
        user=options.get("user") or getpass.getuser(),
        identities=tuple(_path(file, home) for file in named),
        agent=options.get("identitiesonly", "no").lower() != "yes",
        known_hosts=(*known, *([] if spec.known_hosts else [_SYSTEM_KNOWN_HOSTS])),
        alias=options.get("hostkeyalias", ""),
        command=command,
    )
    return (*before, hop)


def _path(text: str, home: Path) -> Path:
    if text.startswith("~/"):
        return home / text[2:]
    return Path(os.path.expandvars(text))
