"""sysevent shell: a shell where a target's kernel runs: in a guest of its own, or on the lab machine."""

from __future__ import annotations

import argparse
import os
import pwd
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from sysevent import settings, wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.cli.run import say
from sysevent.cli.terminal import attached, on_a_terminal, on_pipes, size
from sysevent.errors import ToolMissing, UsageError
from sysevent.hosts.kinds import obstacle
from sysevent.hosts.qemu import keep, shell
from sysevent.scenario import catalog, request
from sysevent.settings import Settings
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec

_ASK = """#!/bin/sh
# What the VMM answers to a scenario of ours: frames as in guests/vmm/wire.h, the second of them with the exits.
name=$1
[ -e "/sysevent/scenarios/$name" ] || name=ARCH.$1
if [ ! -f "/sysevent/scenarios/$name" ]; then
    echo "usage: ask NAME, one of those in /sysevent/scenarios" >&2
    exit 2
fi
vmm serve WORKERS <"/sysevent/scenarios/$name" | xxd
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which target, and what its guest boots."""
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="a target's name, or a glob that matches one"
    )
    parser.add_argument("--attach", metavar="DIR", help="to a guest that a run with --keep has left there")
    parser.add_argument("--kernel", metavar="SPEC", help="kernel of the guest; default: the target's")
    parser.add_argument("--modules", metavar="DIR", help="kernel modules for a --kernel that is a path")
    parser.add_argument(
        "--targets", metavar="FILE", action="append", default=[], help="more targets, in TOML"
    )
    parser.add_argument("--mirror", metavar="URL", help="Debian mirror")
    parser.add_argument("--keyring", metavar="FILE", help="certificates that may sign Debian's release files")
    parser.add_argument("--offline", action="store_true", help="use what is cached, never the network")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=int,
        default=600,
        help="for commands from a pipe; a terminal has no limit (default: 600)",
    )


def run(args: argparse.Namespace) -> int:
    """The exit code of the guest's shell, or ssh's; 0 after --attach."""
    if (args.target is None) == (args.attach is None):
        raise UsageError("name a target, or a directory with --attach")
    if args.attach is not None:
        if not on_terminal():
            raise UsageError(
                "--attach is for a person at a terminal: a guest that was kept has one console, which tells neither "
                "output from prompts nor an exit code; `sysevent shell TARGET` takes commands from a pipe"
            )
        with keep.connected_socket(Path(args.attach)) as line:
            return attached(line)
    known = [*spec.builtin(), *(row for file in args.targets for row in spec.read(Path(file)))]
    spec.unique(known, "--targets")
    chosen = spec.select(known, [args.target], [], [args.kernel] if args.kernel else [])
    if len(chosen) > 1:
        raise UsageError(f"{args.target} is more than one target: {', '.join(row.name for row in chosen)}")
    (target,) = chosen
    if why_not := obstacle(target):
        raise ToolMissing(why_not)
    if target.where == "local":
        raise UsageError(f"{target.name} is this machine: you have a shell here already")
    if target.where == "labgrid":
        raise UsageError(
            f"{target.name} is handed out by labgrid: `labgrid-client -p PLACE lock`, then `... ssh`"
        )
    if target.where == "ssh":
        become_ssh(target, args.timeout)
    mine = settings.from_environment(mirror=args.mirror, keyring=args.keyring, offline=args.offline)
    return _in_a_guest(target, mine, Path(args.modules) if args.modules else None, args.timeout)


def on_terminal() -> bool:
    """Whether a person types; a closed standard input is none."""
    return sys.stdin is not None and sys.stdin.isatty()


def _in_a_guest(target: TargetSpec, mine: Settings, modules: Path | None, timeout: int) -> int:
    piped = not on_terminal()
    config = shell.guest_config(
        target,
        mine,
        say,
        modules,
        files=files(target, mine),
        piped=piped,
        size=size(),
        term=os.environ.get("TERM", ""),
    )
    with tempfile.TemporaryDirectory(prefix="sysevent-shell-") as folder:
        say(f"{target.name}: booting {target.kernel}")
        with shell.running(config, Path(folder)) as guest:
            if piped:
                try:
                    return on_pipes(guest, target.boot, timeout)
                except BrokenPipeError:  # nobody reads on: as `yes | head` ends
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    return 128 + signal.SIGPIPE
            return on_a_terminal(guest, target.boot)


def files(target: TargetSpec, mine: Settings) -> dict[str, bytes]:
    """What is in /sysevent of the guest: the VMM, and every scenario as what one writes to it."""
    arch = ARCHITECTURES[target.arch]
    native = arch.abis[0]
    found: dict[str, bytes] = {}
    for abi in arch.abis:
        found[f"vmm.{abi.number}"] = programs.vmm(arch, abi, mine).path.read_bytes()
    found["vmm"] = found[f"vmm.{native.number}"]
    workers = " ".join(f"{abi.number}:/sysevent/vmm.{abi.number}" for abi in arch.abis)
    found["ask"] = _ASK.replace("WORKERS", workers).replace("ARCH", arch.name).encode()
    payloads: dict[str, programs.Payload] = {}
    for name, scenario in catalog.SCENARIOS.items():
        if scenario.arch != arch.name:
            continue
        for payload in scenario.payloads:
            if payload not in payloads:
                payloads[payload] = programs.payload(arch, payload, mine)
        body, _ = request.encode(scenario, {name: payloads[name] for name in scenario.payloads})
        asked = wire.Frame(wire.Kind.REQUEST, native.number, 1, body)
        found[f"scenarios/{name}"] = wire.pack(asked) + wire.pack(wire.Frame(wire.Kind.BYE, 0, 0, b""))
    return found


def become_ssh(target: TargetSpec, timeout: int) -> None:
    """The user's own ssh takes this process over; under timeout(1) when its commands come from a pipe."""
    if shutil.which("ssh") is None:
        raise ToolMissing("ssh is not installed: apt-get install openssh-client")
    command = ssh_command(target, terminal=on_terminal())
    if not on_terminal():
        command = ["timeout", str(timeout), *command]
    say(shlex.join(command))
    sys.stdout.flush()
    os.execvp(command[0], command)


def ssh_command(target: TargetSpec, *, terminal: bool) -> list[str]:
    """As a row has it; what it leaves open is ~/.ssh/config's, as for a run (hosts/ssh/route.py)."""
    keys = _keys(target)
    # Without a terminal it would say that it allocates none.
    command = ["ssh", "-t" if terminal else "-T", *keys]
    if target.port:
        command += ["-p", str(target.port)]
    if target.jump and keys:
        # -J would not pass the row's key and known hosts on to the machines in between, for which they are meant, too.
        before, _, last = target.jump.rpartition(",")
        via = ["ssh", *keys, *(["-J", before] if before else []), "-W", "%h:%p", "--", _url(last)]
        # OpenSSH gives it to a shell; only ours are the words with a %.
        command += ["-o", f"ProxyCommand={' '.join(_quoted(word) for word in via)}"]
    elif target.jump:
        command += ["-J", target.jump]
    where = f"{target.user}@{target.address}" if target.user else target.address
    return [*command, "--", where]


def _quoted(word: str) -> str:
    """For the shell of a ProxyCommand, in which %h and %p stand for themselves."""
    return word if word == "%h:%p" else shlex.quote(word).replace("%", "%%")


def _keys(target: TargetSpec) -> list[str]:
    # ssh goes by the password database, and we by $HOME: what is ours must be what ssh takes.
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
    """[user@]host[:port] as ssh takes it for a destination, which is no place for a port otherwise."""
    return jump if jump.startswith("ssh://") else f"ssh://{jump}"
