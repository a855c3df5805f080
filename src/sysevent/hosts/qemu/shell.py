"""A guest with a shell in it instead of our VMM: on its console for a person, on three pipes for a program.

It has /dev/kvm as a run's guest has, and in /sysevent what its caller gives it.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from sysevent.arches import ARCHITECTURES, CHANNEL_MODULES
from sysevent.images.kernel import resolve, vmlinux
from sysevent.images.rootfs import initramfs, userland
from sysevent.model import Progress
from sysevent.qemu.argv import Lines, Machine, argv, ports
from sysevent.qemu.monitor import Monitor
from sysevent.qemu.process import QemuProcess
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# The virtio ports, in the order of their numbers: standard input, output and error of a shell on pipes; lines of
# "ROWS COLUMNS" for one on the console; what becomes of it: "ready", then its exit code.
PORTS = ("in", "out", "err", "size", "end")
READY = b"ready"
NO_PORTS = "sysevent: this kernel has no virtio_console, and a shell on pipes needs its ports"

# Run by BusyBox as `sh /init`, not as a program of its own: a minimal kernel has no BINFMT_SCRIPT.
# Writing to a port waits until QEMU has told the guest that the other end is there, in the order of the ports: after
# the first line on the last of them none reads as if it were at its end.
_INIT = f"""
/bin/busybox --install -s /bin
export PATH=/bin:/sysevent HOME=/sysevent TERM="$sysevent_term" PS1="$sysevent_name# "
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmp /tmp 2>/dev/null
for module in /modules/*; do
    [ ! -e "$module" ] || insmod "$module" || echo "sysevent: $module does not load"
done
cd /sysevent
tries=0
while [ -d /sys/class/virtio-ports ] && [ ! -c /dev/vport0p5 ] && [ $tries -lt 100 ]; do
    sleep 0.1; tries=$((tries + 1))
done
end() {{
    [ ! -c /dev/vport0p5 ] || echo "$1" >/dev/vport0p5
}}
if [ "$sysevent_shell" = pipes ]; then
    if [ -c /dev/vport0p5 ]; then
        end {READY.decode()}
        sh </dev/vport0p1 >/dev/vport0p2 2>/dev/vport0p3
        end $?
    else
        echo "{NO_PORTS}"
    fi
else
    tty=/dev/$sysevent_serial
    stty -F $tty rows ${{sysevent_size%x*}} cols ${{sysevent_size#*x}}
    [ ! -c /dev/vport0p4 ] ||
        while read -r rows columns; do stty -F $tty rows "$rows" cols "$columns"; done </dev/vport0p4 &
    echo "Linux $(uname -r) on $sysevent_name. Ctrl-] ends it." >$tty
    end {READY.decode()}
    setsid -c sh <$tty >$tty 2>&1
    end $?
fi
poweroff -f
reboot -f
"""


class ShellGuest(msgspec.Struct, frozen=True):
    """A running one. All sockets are non-blocking."""

    qemu: QemuProcess
    monitor: Monitor
    console: socket.socket
    ports: Mapping[str, socket.socket]  # by the names in PORTS


def machine(
    spec: TargetSpec,
    settings: Settings,
    progress: Progress,
    modules: Path | None = None,
    *,
    files: Mapping[str, bytes],
    piped: bool,
    size: tuple[int, int] = (24, 80),
    term: str = "vt100",
) -> Machine:
    """What to boot, with all it needs on this machine's disk; files go to /sysevent, size is rows and columns."""
    arch = ARCHITECTURES[spec.arch]
    kernel = resolve.find(spec.kernel, arch, settings, progress, modules)
    root = userland.shell(arch, settings, progress) | {"init": _INIT.encode()}
    root |= {f"sysevent/{name}": content for name, content in files.items()}
    words = {
        "shell": "pipes" if piped else "console",
        "name": spec.name,
        "size": f"{size[0]}x{size[1]}",
        "term": term if re.fullmatch(r"[\w.+-]+", term) else "vt100",
    }
    told = " ".join(f"sysevent_{name}={value}" for name, value in words.items())
    return Machine(
        arch=arch,
        # What is looked at by hand need not be quick, and must not hang in a KVM that is not the one it is about.
        accel="tcg" if spec.where == "auto" else spec.where,
        cpu=spec.cpu,
        memory=spec.memory,
        kernel=vmlinux.uncompressed(kernel, settings, progress),
        initramfs=initramfs.build(
            kernel, arch, root, (*CHANNEL_MODULES, *arch.kvm_modules), settings, progress
        ),
        # What stands after -- goes to the first process.
        append=f"{spec.append} {told} rdinit=/bin/busybox -- sh /init",
    )


@contextlib.contextmanager
def started(machine: Machine, logs: Path) -> Iterator[ShellGuest]:
    """Booting when the context begins, ended when it ends. From the thread that lives longest: qemu/process.py."""
    with contextlib.ExitStack() as closing:
        theirs: list[socket.socket] = []

        def pair() -> socket.socket:
            ours, other = socket.socketpair()
            theirs.append(other)
            closing.enter_context(ours)
            ours.setblocking(False)
            return ours

        monitor, console = pair(), pair()
        found = {name: pair() for name in PORTS}
        fds = [end.fileno() for end in theirs]
        more = dict(zip(PORTS[1:], fds[3:], strict=True))
        command = [*argv(machine, Lines(*fds[:3])), *ports(more)]
        try:
            qemu = QemuProcess(command, fds, logs / "qemu.log")
        finally:
            for end in theirs:
                end.close()
        closing.callback(qemu.close)
        talk = Monitor(monitor)
        closing.callback(talk.close)
        yield ShellGuest(qemu, talk, console, found)
