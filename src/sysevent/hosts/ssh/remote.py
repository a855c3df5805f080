"""The POSIX shell scripts that run on a lab machine: read its traits, create a directory, run the VMM, clean up.

Every script is one line without exclamation marks, because the user's login shell, which may be csh, parses it first.
"""

from __future__ import annotations

import re
import select
import shlex
import threading
import time
from collections.abc import Sequence

import msgspec
import paramiko

from sysevent.errors import DiskFull, GuestLost, HostUnreachable, WrongHost
from sysevent.text import escape, last_lines

# Seconds after which the lab machine itself ends the VMM.
WALL = 7200
# Seconds for one script.
_SCRIPT_TIMEOUT = 30
# Seconds between two checks of the watchdog on the lab machine.
_TICK = 5
# Bytes of each output stream that are kept.
_OUTPUT_LIMIT = 1 << 20
_DISK_FULL = ("No space left", "Disk quota exceeded", "disk full")
# Prints a name and a value. The leading newline separates them from output of the login shell, such as a terminal's
# title.
_SAY = 'say() { printf "\\nSYSEVENT %s %s\\n" "$1" "$2"; }'

# A directory that exists as long as sshd's process for this connection; "/" where /proc does not show it.
_SESSION = "session=/proc/$PPID; [ -d $session ] || session=/"

_TRAITS = "; ".join(
    (
        "LC_ALL=C; export LC_ALL",
        _SAY,
        'say node "$(uname -n)"',
        'say kernel "$(uname -r)"',
        'say version "$(uname -v)"',
        'say machine "$(uname -m)"',
        'say user "$(id -un 2>/dev/null || id -u)"',
        "if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then say kvm usable; "
        'elif [ -e /dev/kvm ]; then say kvm "$(ls -l /dev/kvm)"; else say kvm missing; fi',
    )
)


class Completed(msgspec.Struct, frozen=True):
    """The result of a script."""

    # Exit code.
    code: int
    out: str
    err: str

    def values(self) -> dict[str, str]:
        """Name -> value of everything printed with say, safe to print; other output is ignored."""
        found = re.findall(r"^SYSEVENT (\w+) (.*)$", self.out, re.MULTILINE)
        return {name: escape(value).strip() for name, value in found}


def run(
    transport: paramiko.Transport, script: str, data: bytes = b"", seconds: float = _SCRIPT_TIMEOUT
) -> Completed:
    """Run a script with data on its standard input.

    Raises HostUnreachable when it does not end within seconds, GuestLost when the connection breaks before.
    """
    channel = transport.open_session(timeout=seconds)
    # paramiko has no timeout for exec_command and for the exit status (paramiko #1815).
    late = threading.Event()

    def end() -> None:
        late.set()
        channel.close()

    clock = threading.Timer(seconds, end)
    clock.start()
    out, err = bytearray(), bytearray()
    try:
        channel.settimeout(seconds)
        channel.exec_command(shell_command(script))
        code = _exchange(channel, memoryview(data), out, err)
    except paramiko.SSHException:
        if not transport.is_active() or not channel.closed:
            raise
        code = None
    finally:
        clock.cancel()
        channel.close()
    if code is None and late.is_set():
        raise HostUnreachable(f"a script did not end within {seconds:.0f} s")
    if code is None:
        raise GuestLost("the connection broke while a script ran there")
    return Completed(code, out.decode(errors="replace"), err.decode(errors="replace"))


def _exchange(channel: paramiko.Channel, rest: memoryview, out: bytearray, err: bytearray) -> int | None:
    """Send rest and read both outputs until the script has ended. Its exit code; None when the channel closed before.

    It reads while it sends: each direction has a window, and a full one would block the other (paramiko #448).
    """
    while True:
        try:
            if rest and channel.send_ready():
                rest = rest[channel.send(rest[:16384]) :]
            if not rest and not channel.eof_sent:
                channel.shutdown_write()
        except OSError:
            # The script reads no more input. Its output says why.
            rest = rest[:0]
        received = _receive(channel, out, err)
        if not received and channel.eof_received and channel.exit_status_ready():
            return int(channel.recv_exit_status())
        if not received and channel.closed:
            return None
        if not received:
            select.select([channel], [], [], 0.05)


def shell_command(script: str) -> str:
    """The command line that runs a script with sh under any login shell."""
    return f"exec sh -c {shlex.quote(script)}"


def _receive(channel: paramiko.Channel, out: bytearray, err: bytearray) -> bool:
    """Append what has arrived to out and err, up to _OUTPUT_LIMIT each. Whether anything had."""
    received = False
    while channel.recv_ready():
        received = True
        out += channel.recv(65536)
    while channel.recv_stderr_ready():
        received = True
        err += channel.recv_stderr(65536)
    del out[_OUTPUT_LIMIT:]
    del err[_OUTPUT_LIMIT:]
    return received


def read_traits(transport: paramiko.Transport) -> dict[str, str]:
    """The machine's traits (hosts/traits.py), the login's "user", and "kvm" as check_kvm_access() takes it.

    Raises WrongHost when the login has no POSIX shell.
    """
    completed = run(transport, _TRAITS)
    values = completed.values()
    if "kvm" not in values:
        output = escape(completed.err or completed.out).strip()[-200:]
        raise WrongHost(f"no POSIX shell answers there (exit code {completed.code}): {output or 'no output'}")
    return values


def create_workdir(transport: paramiko.Transport, below: str) -> str:
    """The path of a new directory below another one, accessible to our user only.

    Raises DiskFull or WrongHost when it cannot be created.
    """
    completed = run(transport, workdir_script(below))
    path = completed.values().get("directory", "")
    if not re.fullmatch(re.escape(f"{below.rstrip('/')}/sysevent-") + r"\w+", path):
        raise _write_error(f"no directory could be created below directory = {below!r}", completed)
    return path


def workdir_script(below: str) -> str:
    """The script of create_workdir().

    Until the VMM runs and the watchdog of serve_script() takes over, the machine removes the directory within seconds
    of the end of our connection: after a run that was killed, its name may be unknown.
    """
    template = shlex.quote(f"{below.rstrip('/')}/sysevent-XXXXXX")
    return "; ".join(
        (
            _SAY,
            "LC_ALL=C; export LC_ALL; umask 077",
            f"d=$(mktemp -d {template}) || exit",
            _SESSION,
            f'( while sleep {_TICK}; [ -d "$d" ]; do if [ -e "$d/pid" ]; then break; fi; '
            '[ -d $session ] || rm -rf "$d"; done ) </dev/null >/dev/null 2>&1 & say directory "$d"',
        )
    )


def copy(transport: paramiko.Transport, path: str, content: bytes) -> None:
    """Write a program to path. With cat, which every machine has, and which reports errors.

    Raises DiskFull or WrongHost when it cannot be written.
    """
    quoted = shlex.quote(path)
    completed = run(
        transport,
        f"LC_ALL=C; export LC_ALL; umask 077; cat >{quoted} && chmod 700 {quoted} && echo && wc -c <{quoted}",
        content,
    )
    if completed.code or completed.out.split()[-1:] != [str(len(content))]:
        raise _write_error(f"the VMM could not be copied to {path}", completed)


def _write_error(what: str, completed: Completed) -> DiskFull | WrongHost:
    reason = last_lines(completed.err.strip(), 1) or [f"exit code {completed.code}"]
    if any(words in completed.err for words in _DISK_FULL):
        return DiskFull(
            f"{what}: {reason[0]}: free some space, or name another `directory` in the target file"
        )
    return WrongHost(f"{what}: {reason[0]}: name another `directory` in the target file")


def serve_script(directory: str, abis: Sequence[int]) -> str:
    """The script that runs the VMM on the script's standard input and output, and then removes directory.

    abis: numbers of the ABIs whose VMMs are there, the native one first.

    The VMM ends at the end of its input, which comes with the end of the connection. If it does not, a watchdog on the
    machine ends it: after WALL seconds, or within seconds when this shell, or sshd's process for the connection, which
    is its parent, has ended (the latter only where /proc shows that process).
    """
    d = shlex.quote(directory)
    workers = " ".join(f'"{abi}:$d/vmm.{abi}"' for abi in abis)
    # Not another process that has the same number by now.
    ours = f"grep -q {d} /proc/$vmm/cmdline"
    return "; ".join(
        (
            f"d={d}",
            # The directory before the watchdog, which looks for it first: a signal right after fork() may be lost.
            "trap 'kill -KILL $vmm 2>/dev/null; rm -rf \"$d\"; kill $clock 2>/dev/null' EXIT",
            # A signal before all numbers are known would leave a process behind: it counts once they are.
            "late=; trap late=129 HUP; trap late=130 INT; trap late=143 TERM",
            f'exec 3<&0; "$d/vmm.{abis[0]}" serve {workers} <&3 3<&- & vmm=$!',
            _SESSION,
            # The watchdog. Its sleep is a background job, so that a signal ends it at once.
            "( n=0; over=; trap 'over=1; [ -z \"$tick\" ] || { kill -KILL $tick; exit; }' TERM; "
            f'while [ -d "$d" ] && {{ tick=; sleep {_TICK} & tick=$!; [ -z "$over" ]; }} && wait $tick && '
            f'[ -d "$d" ]; do n=$((n + {_TICK})); '
            f"if [ $n -lt {WALL} ] && [ -d $session ] && kill -0 $$; then continue; fi; "
            f'{ours} && kill -KILL $vmm; rm -rf "$d"; done; [ -z "$over" ] || kill -KILL $tick ) '
            "</dev/null >/dev/null 2>&1 3<&- & clock=$!",
            # Not before the watchdog is there: that of workdir_script() ends with it.
            'echo $vmm >"$d/pid"',
            "trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM",
            '[ -z "$late" ] || exit $late',
            "wait $vmm; code=$?; vmm=; exit $code",
        )
    )


def remove_workdir(transport: paramiko.Transport, directory: str, seconds: float) -> bool:
    """End the VMM that runs in a directory and delete the directory, within seconds. Whether that succeeded."""
    return "gone" in run(transport, removal_script(directory), seconds=seconds).out.split()


def removal_script(directory: str) -> str:
    """The script of remove_workdir()."""
    d = shlex.quote(directory)
    return (
        f"p=$(cat {d}/pid 2>/dev/null) && grep -q {d} /proc/$p/cmdline && kill -KILL $p; "
        f"rm -rf {d}; if [ -e {d} ]; then sleep 1; rm -rf {d}; fi; echo; [ -e {d} ] || echo gone"
    )


def ends_by_itself(channel: paramiko.Channel, seconds: float) -> bool:
    """Wait until the program in a channel has ended, at most seconds. Whether the server reported its exit code."""
    end = time.monotonic() + seconds
    while not channel.exit_status_ready() and not channel.closed and time.monotonic() < end:
        channel.status_event.wait(0.05)
    return bool(channel.exit_status_ready() and channel.recv_exit_status() >= 0)
