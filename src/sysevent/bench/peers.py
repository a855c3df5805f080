"""The time that peers, virtme-ng and tuxrun, need to boot the same kernel and run a trivial command.

Both are optional: pip install 'sysevent[bench]'
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pexpect

from sysevent.checkout import with_extra
from sysevent.errors import HarnessError, NotApplicable, ToolMissing
from sysevent.model import KernelImage

# Seconds.
_DEADLINE = 300
# Printed by the command in the guest.
_MARKER = "sysevent-bench-was-here"


def boot(peer: str, kernel: KernelImage, root: Path | None) -> float:
    """Seconds that a peer needs, from Enter to the prompt, to boot a kernel under TCG, run a command, and end.

    root: see command(). Raises ToolMissing when the peer is not installed, HarnessError when the command did not run.
    """
    words = command(peer, kernel, root)
    if shutil.which(words[0]) is None:
        raise ToolMissing(f"{peer} is not installed: {with_extra('bench')}")
    begin = time.monotonic()
    # With a terminal, which virtme-ng requires.
    child = pexpect.spawn(words[0], words[1:], timeout=_DEADLINE, encoding="utf-8", codec_errors="replace")
    try:
        child.expect(pexpect.EOF)
        seconds = time.monotonic() - begin
    except pexpect.TIMEOUT as late:
        raise HarnessError(
            f"{peer} did not end within {_DEADLINE} s: {(child.before or '')[-1500:]}"
        ) from late
    finally:
        child.close(force=True)
    output = child.before or ""
    if child.exitstatus or PEERS[peer].proof not in output:
        raise HarnessError(f"{peer} did not run the command (exit code {child.exitstatus}): {output[-1500:]}")
    return seconds


def command(peer: str, kernel: KernelImage, root: Path | None) -> list[str]:
    """The words of a peer's command line.

    root: the root file system, of the kernel's architecture. For virtme-ng a directory; None: this machine's own files,
    for x86_64 only. For tuxrun an ext4 image; None: one that it downloads. Raises NotApplicable without a needed root.
    """
    return PEERS[peer].words(kernel, root)


def _virtme(kernel: KernelImage, root: Path | None) -> list[str]:
    if root is None and kernel.arch != "x86_64":
        raise NotApplicable(f"virtme-ng needs a root directory for {kernel.arch}: --root 'DIR/{{arch}}'")
    arch = [] if kernel.arch == "x86_64" else ["--arch", kernel.arch]
    where = ["--root", str(root)] if root else []
    return [
        "vng", "--run", str(kernel.image), "--disable-kvm", "--cpus", "1", "--memory", "512M",
        *arch, *where, "--exec", f"echo {_MARKER}",
    ]  # fmt: skip


def _tuxrun(kernel: KernelImage, root: Path | None) -> list[str]:
    # No command after "--": libguestfs would first start a VM to write it into the image. The boot test that tuxrun
    # does without a command logs in.
    where = ["--rootfs", str(root)] if root else []
    device = f"qemu-{kernel.arch}"
    return ["tuxrun", "--runtime", "null", "--device", device, "--kernel", str(kernel.image), *where]


class _Peer(msgspec.Struct, frozen=True):
    """A program to compare with."""

    # The words of its command line, for a kernel and a root.
    words: Callable[[KernelImage, Path | None], list[str]]
    # Output that shows that a program ran in the guest.
    proof: str


PEERS = {
    "virtme-ng": _Peer(_virtme, _MARKER),
    "tuxrun": _Peer(_tuxrun, "Job finished correctly"),
}
