"""The route to a target: its jump hosts and the target itself. The only I/O is asking for ssh's configuration."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec
import paramiko

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import config
from sysevent.targets.spec import TargetSpec

# Jump hosts; more are a loop.
_DEPTH = 8
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
_USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
# The files that ssh tries without an IdentityFile: ssh_config(5). They need not exist.
_USUAL_KEYS = frozenset(
    f"~/.ssh/id_{kind}" for kind in ["rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss", "dsa"]
)
_JUMP = re.compile(r"(?:(?P<user>.+)@)?(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:]+|.*:.*:.*))(?::(?P<port>\d+))?")
# Tokens of KnownHostsCommand that are known with the machine's key, and what stands for them until then.
KEY_TOKENS = {letter: f"\0{letter}" for letter in "HIKft"}
# Raised for a configuration that cannot be used.
_CONFIG_ERRORS = (
    paramiko.ssh_exception.ConfigParseError,
    paramiko.ssh_exception.CouldNotCanonicalize,
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
    # IdentityAgent: the agent's socket; "": that of SSH_AUTH_SOCK; "none": no agent is asked.
    agent_socket: str = ""
    # BindAddress: this machine's address; "": any.
    bind: str = ""
    # AddressFamily: "any", "inet" or "inet6".
    family: str = "any"
    # CertificateFile: certificates of the user's keys.
    certificates: tuple[Path, ...] = ()
    # RevokedHostKeys, read by ssh-keygen; None: there is none.
    revoked: Path | None = None
    # KnownHostsCommand, in words, with KEY_TOKENS for what depends on the key; (): there is none.
    known_command: tuple[str, ...] = ()
    # CASignatureAlgorithms; (): the usual ones.
    ca_algorithms: tuple[str, ...] = ()
    # HostKeyAlgorithms, as ssh has expanded it; (): the usual ones.
    key_algorithms: tuple[str, ...] = ()

    @property
    def known_as(self) -> str:
        """The machine's name in known_hosts."""
        if self.alias:
            return self.alias
        address = self.address.lower()
        return address if self.port == 22 else f"[{address}]:{self.port}"

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


def route(spec: TargetSpec, home: Path, lookup: config.Lookup = config.lookup) -> tuple[Hop, ...]:
    """The hops to a target, the target last. Keys of its row take precedence over ~/.ssh/config.

    The row's identity and known_hosts also apply to jump hosts, because a lab has one of each.
    Raises HostUnreachable when the row has no address or the configuration cannot be used.
    """
    if not spec.address:
        raise HostUnreachable(f"{spec.id}: the target has no address: give it one in the target file")
    # As in a URL: [::1].
    name = spec.address[1:-1] if re.fullmatch(r"\[[0-9a-fA-F:.]+(%\w+)?\]", spec.address) else spec.address
    try:
        return _hops(spec, lookup, home, name, spec.user, spec.port, spec.jump, _DEPTH)
    except _CONFIG_ERRORS as error:
        path = home / ".ssh" / "config"
        raise HostUnreachable(f"{spec.id}: {path} cannot be used for {spec.address}: {error}") from error


def _hops(
    spec: TargetSpec,
    lookup: config.Lookup,
    home: Path,
    name: str,
    user: str,
    port: int,
    jump: str,
    depth: int,
) -> tuple[Hop, ...]:
    if depth == 0:
        raise ValueError(f"more than {_DEPTH} jump hosts, or a loop of them")
    options = lookup(name, user, port, home)
    jump = jump or _first(options, "proxyjump")
    before: tuple[Hop, ...] = ()
    if jump and jump.lower() != "none":
        rest, _, last = jump.rpartition(",")
        match = _JUMP.fullmatch(last.strip().removeprefix("ssh://"))
        if match is None:
            raise ValueError(f"jump = {last!r} is not [user@]host[:port]")
        via, via_user, via_port = match["six"] or match["host"], match["user"] or "", int(match["port"] or 0)
        before = _hops(spec, lookup, home, via, via_user, via_port, rest, depth - 1)
    return (*before, _hop(spec, options, home, name, proxied=bool(before)))


def _hop(spec: TargetSpec, options: config.Options, home: Path, name: str, *, proxied: bool) -> Hop:
    tokens = _tokens(options, home, name)

    def paths(texts: list[str]) -> tuple[Path, ...]:
        return tuple(Path(config.expand(text, tokens, home)) for text in texts if text.lower() != "none")

    named = [
        text
        for text in options.get("identityfile", [])
        if text not in _USUAL_KEYS or Path(config.expand(text, tokens, home)).exists()
    ]
    known = _file_names(_first(options, "userknownhostsfile", _USER_KNOWN_HOSTS))
    known += _file_names(_first(options, "globalknownhostsfile", _SYSTEM_KNOWN_HOSTS))
    command = _first(options, "proxycommand", "none")
    if _first(options, "proxyusefdpass") == "yes" and command != "none" and not proxied:
        raise ValueError("ProxyUseFdpass is not supported: let the ProxyCommand pass the data on itself")
    revoked = paths(list(options.get("revokedhostkeys", [])))
    return Hop(
        name=name,
        address=options["hostname"][0].strip("[]"),
        port=int(_first(options, "port", "22")),
        user=_first(options, "user") or getpass.getuser(),
        identities=(_path(spec.identity, home),) if spec.identity else paths(named),
        agent=_first(options, "identitiesonly").lower() != "yes",
        known_hosts=tuple(_path(file, home) for file in spec.known_hosts.split())
        or tuple(_known_hosts(file, tokens, home) for file in known if file.lower() != "none"),
        alias=_first(options, "hostkeyalias"),
        command="" if proxied or command.lower() == "none" else config.expand(command, tokens, home),
        bind=_first(options, "bindaddress"),
        family=_first(options, "addressfamily", "any"),
        agent_socket=_agent(_first(options, "identityagent"), tokens, home),
        certificates=() if spec.identity else paths(list(options.get("certificatefile", []))),
        revoked=revoked[0] if revoked else None,
        # Files in the row are instead of everything that the configuration has.
        known_command=()
        if spec.known_hosts
        else _command(_first(options, "knownhostscommand"), tokens, home),
        ca_algorithms=_list(options, "casignaturealgorithms"),
        key_algorithms=_list(options, "hostkeyalgorithms"),
    )


def _command(text: str, tokens: Mapping[str, str], home: Path) -> tuple[str, ...]:
    """Return the words of KnownHostsCommand; () without one. ValueError if ssh would not run it either."""
    if text.lower() in ("", "none"):
        return ()
    words = shlex.split(text)
    if not words[0].startswith("/"):
        raise ValueError(f"KnownHostsCommand {text}: ssh wants the absolute path of a program there")
    return tuple(config.expand(word, {**tokens, **KEY_TOKENS}, home) for word in words)


def _file_names(text: str) -> list[str]:
    """Return the files in a line of `ssh -G`, which has left out the quotes around names with spaces."""
    words, found = text.split(" "), list[str]()
    while words:
        # The longest name of an existing file, else one word.
        sizes = (n for n in range(len(words), 1, -1) if Path(" ".join(words[:n])).exists())
        size = next(sizes, 1)
        found.append(" ".join(words[:size]))
        del words[:size]
    return [name for name in found if name]


def _first(options: config.Options, key: str, default: str = "") -> str:
    return next(iter(options.get(key, ())), "") or default


def _list(options: config.Options, key: str) -> tuple[str, ...]:
    return tuple(_first(options, key).replace(",", " ").split())


def _tokens(options: config.Options, home: Path, name: str) -> Mapping[str, str]:
    """Return what the tokens of ssh_config(5) stand for; %C only if ssh has said it."""
    here = socket.gethostname()
    connection = config.connection_hash(options)
    return {
        **({"C": connection} if connection else {}),
        "%": "%",
        "h": options["hostname"][0],
        "n": name,
        "k": _first(options, "hostkeyalias") or name,
        "p": _first(options, "port", "22"),
        "r": _first(options, "user") or getpass.getuser(),
        "j": _first(options, "proxyjump"),
        "u": getpass.getuser(),
        "i": str(os.getuid()),
        "d": str(home),
        "l": here,
        "L": here.partition(".")[0],
    }


def _known_hosts(text: str, tokens: Mapping[str, str], home: Path) -> Path:
    # Newer releases of `ssh -G` have replaced its tokens already. A wrong file has no key, so that nothing is trusted.
    with contextlib.suppress(ValueError):
        return Path(config.expand(text, tokens, home))
    return Path(text)


def _agent(text: str, tokens: Mapping[str, str], home: Path) -> str:
    """Return the agent's socket that IdentityAgent names; "" for that of SSH_AUTH_SOCK, and "none"."""
    if text in ("", "SSH_AUTH_SOCK"):
        return ""
    if text.lower() == "none":
        return "none"
    if text.startswith("$") and text[1:2] != "{":
        return os.environ.get(text[1:], "none")
    return config.expand(text, tokens, home)


def _path(text: str, home: Path) -> Path:
    if text.startswith("~/"):
        return home / text[2:]
    return Path(os.path.expandvars(text))
