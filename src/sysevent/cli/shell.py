"""sysevent shell: a shell where a target's kernel runs, in a guest of its own or on the lab machine."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from sysevent.cli import say
from sysevent.errors import ToolMissing, UsageError
from sysevent.hosts.openers import obstacle
from sysevent.hosts.qemu import keep, shell
from sysevent.interactive import guest_files, ssh_command
from sysevent.interactive.terminal import attached, on_a_terminal, on_pipes, size
from sysevent.settings import Settings, from_options
from sysevent.targets import spec
from sysevent.targets.spec import TargetSpec


def run(args: argparse.Namespace) -> int:
    """The exit code of the guest's shell, or of ssh; 0 after --attach."""
    if (args.target is None) == (args.attach is None):
        raise UsageError("name a target, or a directory with --attach")
    if args.attach is not None:
        return _attach(Path(args.attach))
    target = _only(args)
    if why_not := obstacle(target):
        raise ToolMissing(why_not)
    if target.kind.no_shell:
        raise UsageError(f"{target.name} {target.kind.no_shell}")
    if target.kind.ssh:
        _become_ssh(target, args.timeout)
    modules = Path(args.modules) if args.modules else None
    return _in_a_guest(target, from_options(vars(args)), modules, args.timeout)


def _attach(folder: Path) -> int:
    if not on_terminal():
        raise UsageError(
            "--attach needs a terminal: a kept guest has one console, which separates neither output from prompts "
            "nor has an exit code; `sysevent shell TARGET` takes commands from a pipe"
        )
    with keep.connected_socket(folder) as line:
        return attached(line)


def _only(args: argparse.Namespace) -> TargetSpec:
    """The target that the command line names; UsageError unless it is one."""
    kernels = [args.kernel] if args.kernel else []
    chosen = spec.select(spec.known(args.targets), [args.target], [], kernels)
    if len(chosen) > 1:
        raise UsageError(f"{args.target} is more than one target: {', '.join(row.name for row in chosen)}")
    return chosen[0]


def on_terminal() -> bool:
    """Whether standard input is a terminal; False if it is closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def _in_a_guest(target: TargetSpec, settings: Settings, modules: Path | None, timeout: int) -> int:
    """Boot a guest with a shell; the shell's exit code. timeout: seconds for commands from a pipe."""
    piped = not on_terminal()
    config = shell.guest_config(
        target,
        settings,
        say,
        modules,
        files=guest_files.files(target, settings),
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
                except BrokenPipeError:
                    # The reader of the output has ended. End as `yes` does in `yes | head`.
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    return 128 + signal.SIGPIPE
            return on_a_terminal(guest, target.boot)


def _become_ssh(target: TargetSpec, timeout: int) -> None:
    """Replace this process by the user's ssh, under timeout(1) if the commands come from a pipe. timeout: seconds."""
    if shutil.which("ssh") is None:
        raise ToolMissing("ssh is not installed: apt-get install openssh-client")
    command = ssh_command.argv(target, terminal=on_terminal())
    if not on_terminal():
        command = ["timeout", str(timeout), *command]
    say(shlex.join(command))
    sys.stdout.flush()
    os.execvp(command[0], command)
