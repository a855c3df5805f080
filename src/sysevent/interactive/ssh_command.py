"""The command line of the user's ssh that logs in to a lab machine as a run does."""

from __future__ import annotations

import os
import pwd
import shlex
from pathlib import Path

from sysevent.targets.spec import TargetSpec


def argv(target: TargetSpec, *, terminal: bool) -> list[str]:
    """The command that opens a shell on a lab machine, with the options of its row.

    What the row leaves out comes from ~/.ssh/config, as in a run (hosts/ssh/route.py). terminal: the shell gets one.
    """
    keys = _keys(target)
    # Without -T, ssh prints that it allocates no terminal.
    command = ["ssh", "-t" if terminal else "-T", *keys]
    if target.port:
        command += ["-p", str(target.port)]
    if target.jump and keys:
        # The row's key and known hosts are for the machines in between as well, and -J would not pass them on.
        before, _, last = target.jump.rpartition(",")
        via = ["ssh", *keys, *(["-J", before] if before else []), "-W", "%h:%p", "--", _url(last)]
        # OpenSSH hands the command to a shell, after it has replaced %h and %p.
        command += ["-o", f"ProxyCommand={' '.join(_quoted(word) for word in via)}"]
    elif target.jump:
        command += ["-J", target.jump]
    # ssh takes an IPv6 address without brackets.
    address = target.address.strip("[]")
    where = f"{target.user}@{address}" if target.user else address
    return [*command, "--", where]


def _quoted(word: str) -> str:
    """A word quoted for the shell of a ProxyCommand; %h and %p stay as they are."""
    return word if word == "%h:%p" else shlex.quote(word).replace("%", "%%")


def _keys(target: TargetSpec) -> list[str]:
    """The options that name configuration, keys and known hosts."""
    # ssh takes the home directory of the password database, and a run that of $HOME.
    home = Path.home()
    words = []
    if home != Path(pwd.getpwuid(os.getuid()).pw_dir):
        if (home / ".ssh" / "config").exists():
            words += ["-F", str(home / ".ssh" / "config")]
        if not target.known_hosts:
            words += ["-o", f"UserKnownHostsFile={home}/.ssh/known_hosts {home}/.ssh/known_hosts2"]
        if not target.identity:
            usual = (home / ".ssh" / name for name in ("id_ed25519", "id_ecdsa", "id_rsa"))
            words += [word for path in usual if path.exists() for word in ("-i", str(path))]
    if target.identity:
        words += ["-i", str(Path(target.identity).expanduser())]
    if target.known_hosts:
        names = " ".join(f'"{Path(name).expanduser()}"' for name in target.known_hosts.split())
        words += ["-o", f"UserKnownHostsFile={names}", "-o", "GlobalKnownHostsFile=/dev/null"]
    return words


def _url(jump: str) -> str:
    """[user@]host[:port] as a destination for ssh, which takes a port only in a URL."""
    return jump if jump.startswith("ssh://") else f"ssh://{jump}"
