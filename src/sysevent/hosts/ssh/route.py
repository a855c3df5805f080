"""The machines between here and a target, the target last. No I/O but the reading of ~/.ssh/config."""

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

_DEPTH = 8  # jumps; more are a circle
_EVERYWHERE = Path("/etc/ssh/ssh_known_hosts")
_USUAL = ("known_hosts", "known_hosts2")
_PLACE = re.compile(r"(?:(?P<user>.+)@)?(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:]+|.*:.*:.*))(?::(?P<port>\d+))?")
_FAULTS = (  # of a configuration that paramiko cannot use; ImportError: `Match exec` takes another library
    paramiko.ssh_exception.ConfigParseError,
    paramiko.ssh_exception.CouldNotCanonicalize,
    ImportError,
    KeyError,
    OSError,
    ValueError,
)


class Hop(msgspec.Struct, frozen=True):
    """One machine to be let in by."""

    name: str  # as the user calls it
    address: str
    port: int
    user: str
    identities: tuple[Path, ...]  # private keys to try first
    agent: bool  # whether keys that nobody named may be tried, too: the agent's and the usual files
    known_hosts: tuple[Path, ...]  # the first is the one to be corrected
    alias: str = ""  # the name under which its key is known, if not its address
    command: str = ""  # ProxyCommand, of the first hop only

    @property
    def known_as(self) -> str:
        """Its name in known_hosts."""
        if self.alias:
            return self.alias
        address = self.address.lower()
        return address if self.port == 22 else f"[{address}]:{self.port}"

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def route(spec: TargetSpec, home: Path) -> tuple[Hop, ...]:
    """The way to a target; what its row says wins over ~/.ssh/config. HostUnreachable when there is none.

    The row's identity and known_hosts are good for jump hosts, too: a lab has one of each.
    """
    if not spec.address:
        raise HostUnreachable(f"{spec.id}: the target has no address: give it one in the target file")
    try:
        return _hops(spec, config.text(home), home, spec.address, spec.user, spec.port, spec.jump, _DEPTH)
    except _FAULTS as error:
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
        raise ValueError(f"more than {_DEPTH} jumps, or a circle of them")
    # What is said first wins, also in what ProxyCommand is made of.
    first = [f"Port {port}"] if port else []
    first += [f"User {user}"] if user else []
    options = paramiko.SSHConfig.from_text("\n".join(["Host *", *first, settings])).lookup(name)
    jump = jump or options.get("proxyjump") or ""
    before: tuple[Hop, ...] = ()
    command = ""
    if jump and jump.lower() != "none":
        rest, _, last = jump.rpartition(",")
        at = _PLACE.fullmatch(last.strip().removeprefix("ssh://"))
        if at is None:
            raise ValueError(f"jump = {last!r} is not [user@]host[:port]")
        via = at["six"] or at["host"]
        before = _hops(spec, settings, home, via, at["user"] or "", int(at["port"] or 0), rest, depth - 1)
    else:
        command = options.get("proxycommand") or ""
    named = [spec.identity] if spec.identity else options.get("identityfile", [])
    files = spec.known_hosts or options.get("userknownhostsfile", "")
    known = [_path(file, home) for file in files.split()] or [home / ".ssh" / name for name in _USUAL]
    hop = Hop(
        name=name,
        address=options["hostname"],
        port=int(options.get("port", 22)),
        user=options.get("user") or getpass.getuser(),
        identities=tuple(_path(file, home) for file in named),
        agent=options.get("identitiesonly", "no").lower() != "yes",
        known_hosts=(*known, *([] if spec.known_hosts else [_EVERYWHERE])),
        alias=options.get("hostkeyalias", ""),
        command=command,
    )
    return (*before, hop)


def _path(text: str, home: Path) -> Path:
    if text.startswith("~/"):
        return home / text[2:]
    return Path(os.path.expandvars(text))
