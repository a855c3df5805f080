"""What others take to boot the same kernel to a trivial command. Both are optional: pip install 'sysevent[bench]'."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pexpect

from sysevent.errors import HarnessError, NotApplicable, ToolMissing
from sysevent.model import KernelImage

_DEADLINE = 300
_SAID = "sysevent-bench-was-here"


def boot(peer: str, kernel: KernelImage, root: Path | None) -> float:
    """Seconds of a peer, from Enter to the prompt, to boot a kernel under TCG, run a command, and end.

    root is what it boots into, of the kernel's architecture, as command() says. ToolMissing when the peer is not
    installed, HarnessError when the command did not run.
    """
    words = command(peer, kernel, root)
    if shutil.which(words[0]) is None:
        raise ToolMissing(f"{peer} is not installed: pip install 'sysevent[bench]'")
    begin = time.monotonic()
    # A terminal of its own: virtme-ng refuses to run without one.
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
    told = child.before or ""
    if child.exitstatus or PEERS[peer].proof not in told:
        raise HarnessError(f"{peer} did not run the command (exit code {child.exitstatus}): {told[-1500:]}")
    return seconds


def command(peer: str, kernel: KernelImage, root: Path | None) -> list[str]:
    """The words of a peer's command line; NotApplicable for what it cannot boot without a root.

    virtme-ng takes a directory over 9P, this machine's own files where the architecture is this machine's; tuxrun
    an ext4 image, or one that it fetches.
    """
    return PEERS[peer].words(kernel, root)


def _virtme(kernel: KernelImage, root: Path | None) -> list[str]:
    if root is None and kernel.arch != "x86_64":
        raise NotApplicable(f"virtme-ng needs a root directory for {kernel.arch}: --root 'DIR/{{arch}}'")
    arch = [] if kernel.arch == "x86_64" else ["--arch", kernel.arch]
    where = ["--root", str(root)] if root else []
    return [
        "vng", "--run", str(kernel.image), "--disable-kvm", "--cpus", "1", "--memory", "512M",
        *arch, *where, "--exec", f"echo {_SAID}",
    ]  # fmt: skip


def _tuxrun(kernel: KernelImage, root: Path | None) -> list[str]:
    # No command behind "--": that would first be written into the image by a virtual machine of libguestfs.
    # Logging in is tuxrun's own boot test.
    where = ["--rootfs", str(root)] if root else []
    return [
        "tuxrun",
        "--runtime",
        "null",
        "--device",
        f"qemu-{kernel.arch}",
        "--kernel",
        str(kernel.image),
        *where,
    ]


class _Peer(msgspec.Struct, frozen=True):
    """How one is started, and what in its output shows that a program ran in the guest."""

    words: Callable[[KernelImage, Path | None], list[str]]
    proof: str


PEERS = {
    "virtme-ng": _Peer(_virtme, _SAID),
    "tuxrun": _Peer(_tuxrun, "Job finished correctly"),
}
