"""A guest that runs a shell instead of the VMM: on its console for a person, on three virtio ports for a program.

It has /dev/kvm like the guest of a run, and the caller's files in /sysevent.
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
from sysevent.qemu import clock, launch
from sysevent.qemu.argv import GuestConfig, InheritedFds, extra_port_options
from sysevent.qemu.monitor import Monitor
from sysevent.qemu.process import QemuProcess
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# The virtio ports, in the order of their numbers. "in", "out", "err": standard input, output and error of a shell on
# pipes. "size": lines of "ROWS COLUMNS" for a shell on the console. "end": a line "ready", then a line with the exit
# code.
PORTS = ("in", "out", "err", "size", "end")
READY = b"ready"
NO_PORTS = "sysevent: this kernel has no virtio_console, and a shell on pipes needs its ports"

# BusyBox runs it as `sh /init`, because a minimal kernel has no BINFMT_SCRIPT.
# A write to a port blocks until QEMU has reported its other end as connected, which it does in the order of the ports.
# So after the first line on the last port, a read of any port no longer returns end of file.
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
    """A running guest with a shell. All sockets are non-blocking."""

    qemu: QemuProcess
    monitor: Monitor
    console: socket.socket
    # By the names in PORTS.
    ports: Mapping[str, socket.socket]


def guest_config(
    spec: TargetSpec,
    settings: Settings,
    progress: Progress,
    modules: Path | None = None,
    *,
    files: Mapping[str, bytes],
    piped: bool,
    size: tuple[int, int] = (24, 80),
    term: str = "vt100",
) -> GuestConfig:
    """The configuration of a guest with a shell, after fetching and building what is missing of it.

    files: name -> content, in /sysevent of the guest. piped: True: the shell is on the ports "in", "out" and "err";
    False: on the console. size: rows and columns, term: TERM, both for the console.
    """
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
    environment = " ".join(f"sysevent_{name}={value}" for name, value in words.items())
    # TCG for "auto": speed matters less here than a guest that does not hang in a broken nested KVM.
    accel = "tcg" if spec.where == "auto" else spec.where
    return GuestConfig(
        arch=arch,
        accel=accel,
        cpu=spec.cpu,
        machine=spec.machine,
        memory=spec.memory,
        kernel=vmlinux.kernel_file(kernel, settings, progress),
        initramfs=initramfs.build(
            kernel, arch, root, (*CHANNEL_MODULES, *arch.kvm_modules), settings, progress
        ),
        # Words after -- are the arguments of the first process.
        append=f"{clock.kernel_words(arch, accel)} {spec.append} {environment} rdinit=/bin/busybox -- sh /init",
    )


@contextlib.contextmanager
def running(config: GuestConfig, logs: Path) -> Iterator[ShellGuest]:
    """Starts a guest, which is ended with the context. QEMU's messages go to logs/qemu.log.

    Call it from the longest-living thread: QEMU dies with the thread that started it, see process.py.
    """
    with contextlib.ExitStack() as closing:
        theirs: list[socket.socket] = []

        def pair() -> socket.socket:
            ours, other = socket.socketpair()
            theirs.append(other)
            closing.enter_context(ours)
            ours.setblocking(False)
            return ours

        monitor, console = pair(), pair()
        ports = {name: pair() for name in PORTS}
        fds = [end.fileno() for end in theirs]
        # The port "in" is the guest's first one, which runs use as the channel.
        extra = dict(zip(PORTS[1:], fds[3:], strict=True))
        lines, more = InheritedFds(*fds[:3]), extra_port_options(extra)
        try:
            qemu = launch.start(config, lines, fds, logs / "qemu.log", more=more)
        finally:
            for end in theirs:
                end.close()
        closing.callback(qemu.close)
        qmp = Monitor(monitor)
        closing.callback(qmp.close)
        yield ShellGuest(qemu, qmp, console, ports)
