"""What we run on a lab machine, in words of a POSIX shell: looking at it, moving in, the VMM, moving out.

Every script is one line without exclamation marks, since a user's login shell, which may be csh, reads it first.
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

WALL = 7200  # seconds after which the machine itself ends the VMM, whatever became of us
_STEP = 30  # seconds for one of these scripts
_TICK = 5  # seconds between two looks of the machine at its clock
_MOST = 1 << 20  # bytes of output that are taken in
_FULL = ("No space left", "Disk quota exceeded", "disk full")
# On a line of its own: a login shell may have set a terminal's title just before.
_SAY = 'say() { printf "\\nSYSEVENT %s %s\\n" "$1" "$2"; }'

_SESSION = "session=/proc/$PPID; [ -d $session ] || session=/"

_LOOK = "; ".join(
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


class Ran(msgspec.Struct, frozen=True):
    """What a script gave."""

    code: int
    out: str
    err: str

    def said(self) -> dict[str, str]:
        """What it said with say; whatever the user's shell prints when it starts is passed over."""
        found = re.findall(r"^SYSEVENT (\w+) (.*)$", self.out, re.MULTILINE)
        return {name: escape(value).strip() for name, value in found}


def run(transport: paramiko.Transport, script: str, data: bytes = b"", seconds: float = _STEP) -> Ran:
    """Run a script with data on its standard input.

    HostUnreachable when it does not end in time, GuestLost when the connection breaks before.

    Both streams are read while data is sent: each has a window, and a full one stops the other (paramiko #448).
    """
    channel = transport.open_session(timeout=seconds)
    # Neither the request to run something nor the exit status have a timeout of their own (#1815).
    late = threading.Event()

    def end() -> None:
        late.set()
        channel.close()

    clock = threading.Timer(seconds, end)
    clock.start()
    out, err = bytearray(), bytearray()
    try:
        channel.settimeout(seconds)
        channel.exec_command(command(script))
        code = _converse(channel, memoryview(data), out, err)
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
    return Ran(code, out.decode(errors="replace"), err.decode(errors="replace"))


def _converse(channel: paramiko.Channel, rest: memoryview, out: bytearray, err: bytearray) -> int | None:
    """Send and read until the other side has ended: its exit code; None when the channel was closed before."""
    while True:
        try:
            if rest and channel.send_ready():
                rest = rest[channel.send(rest[:16384]) :]
            if not rest and not channel.eof_sent:
                channel.shutdown_write()
        except OSError:
            rest = rest[:0]  # it wants no more; what it says is the better news
        took = _take(channel, out, err)
        if not took and channel.eof_received and channel.exit_status_ready():
            return int(channel.recv_exit_status())
        if not took and channel.closed:
            return None
        if not took:
            select.select([channel], [], [], 0.05)


def command(script: str) -> str:
    """For any login shell."""
    return f"exec sh -c {shlex.quote(script)}"


def _take(channel: paramiko.Channel, out: bytearray, err: bytearray) -> bool:
    took = False
    while channel.recv_ready():
        took = True
        out += channel.recv(65536)
    while channel.recv_stderr_ready():
        took = True
        err += channel.recv_stderr(65536)
    del out[_MOST:]
    del err[_MOST:]
    return took


def look(transport: paramiko.Transport) -> dict[str, str]:
    """What the machine is: see hosts/identity.py; also user, and kvm."""
    ran = run(transport, _LOOK)
    said = ran.said()
    if "kvm" not in said:
        told = escape(ran.err or ran.out).strip()[-200:]
        raise WrongHost(f"no POSIX shell answers there (exit code {ran.code}): {told or 'it says nothing'}")
    return said


def move_in(transport: paramiko.Transport, below: str) -> str:
    """A new directory of our own, which nobody else may enter."""
    ran = run(transport, enter(below))
    found = ran.said().get("directory", "")
    if not re.fullmatch(re.escape(f"{below.rstrip('/')}/sysevent-") + r"\w+", found):
        raise _refused(f"no directory could be made below directory = {below!r}", ran)
    return found


def enter(below: str) -> str:
    """The script for that.

    Until the VMM runs there, and the clock of serve() ticks, the machine removes the directory within seconds when
    the server's process for our connection is no more: of a run that was killed, nobody may know its name.
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
    """A program into our directory. By cat, which every machine has, and which says what goes wrong."""
    quoted = shlex.quote(path)
    ran = run(
        transport,
        f"LC_ALL=C; export LC_ALL; umask 077; cat >{quoted} && chmod 700 {quoted} && echo && wc -c <{quoted}",
        content,
    )
    if ran.code or ran.out.split()[-1:] != [str(len(content))]:
        raise _refused(f"the VMM could not be copied to {path}", ran)


def _refused(what: str, ran: Ran) -> DiskFull | WrongHost:
    said = last_lines(ran.err.strip(), 1) or [f"exit code {ran.code}"]
    if any(word in ran.err for word in _FULL):
        return DiskFull(f"{what}: {said[0]}: make room there, or name another `directory` in the target file")
    return WrongHost(f"{what}: {said[0]}: name another `directory` in the target file")


def serve(directory: str, abis: Sequence[int]) -> str:
    """The script that runs the VMM on its own standard input and output, and leaves nothing behind.

    The VMM ends when its input does, which is when the connection ends however that happens. Should it not, a
    clock on the machine ends it: after WALL, and within seconds when this shell was killed, or the server's process
    for our connection, its parent, is no more (unless the machine does not show that to us).
    """
    d = shlex.quote(directory)
    workers = " ".join(f'"{abi}:$d/vmm.{abi}"' for abi in abis)
    ours = f"grep -q {d} /proc/$vmm/cmdline"  # and no other process that has got this number since
    return "; ".join(
        (
            f"d={d}",
            "trap 'kill $clock 2>/dev/null; kill -KILL $vmm 2>/dev/null; rm -rf \"$d\"' EXIT",
            "trap 'exit 129' HUP",
            "trap 'exit 130' INT",
            "trap 'exit 143' TERM",
            f'exec 3<&0; "$d/vmm.{abis[0]}" serve {workers} <&3 3<&- & vmm=$!',
            'echo $vmm >"$d/pid"',
            _SESSION,
            # Its sleep is a job of its own, so that it can be ended at once.
            "( n=0; trap 'kill $tick; exit' TERM; "
            f'while sleep {_TICK} & tick=$!; wait $tick && [ -d "$d" ]; do n=$((n + {_TICK})); '
            f"if [ $n -lt {WALL} ] && [ -d $session ] && kill -0 $$; then continue; fi; "
            f'{ours} && kill -KILL $vmm; rm -rf "$d"; done ) </dev/null >/dev/null 2>&1 3<&- & clock=$!',
            "wait $vmm; code=$?; vmm=; exit $code",
        )
    )


def move_out(transport: paramiko.Transport, directory: str, seconds: float) -> bool:
    """End what runs in our directory, and remove it; whether it is gone."""
    return "gone" in run(transport, leave(directory), seconds=seconds).out.split()


def leave(directory: str) -> str:
    """The script for that."""
    d = shlex.quote(directory)
    return (
        f"p=$(cat {d}/pid 2>/dev/null) && grep -q {d} /proc/$p/cmdline && kill -KILL $p; "
        f"rm -rf {d}; if [ -e {d} ]; then sleep 1; rm -rf {d}; fi; echo; [ -e {d} ] || echo gone"
    )


def wait(channel: paramiko.Channel, seconds: float) -> bool:
    """Whether what runs in a channel ends by itself in time."""
    end = time.monotonic() + seconds
    while not channel.exit_status_ready() and not channel.closed and time.monotonic() < end:
        channel.status_event.wait(0.05)
    return bool(channel.exit_status_ready() and channel.recv_exit_status() >= 0)
