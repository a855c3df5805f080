"""What others need to boot the same kernel to a trivial command. Both are optional: pip install virtme-ng tuxrun."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from sysevent.errors import HarnessError, NotApplicable, ToolMissing
from sysevent.model import KernelImage

PEERS = ("virtme-ng", "tuxrun")
_DEADLINE = 300
_SAID = "sysevent-bench-was-here"


def boot(peer: str, kernel: KernelImage, root: Path | None) -> float:
    """Seconds of a peer to boot a kernel under TCG, run a command that says a word, and end.

    root is a directory (virtme-ng) or an ext4 image (tuxrun) of the kernel's architecture, with a shell in it;
    without, this machine's own files serve a kernel of its architecture, and tuxrun fetches its own.
    HarnessError when the word was not said.
    """
    command = {"virtme-ng": _virtme, "tuxrun": _tuxrun}[peer](kernel, root)
    if shutil.which(command[0]) is None:
        raise ToolMissing(f"{peer} is not installed: pip install {peer}")
    begin = time.monotonic()
    try:
        # A terminal of its own: virtme-ng refuses to run without one.
        done = subprocess.run(
            ["script", "-qec", " ".join(command), "/dev/null"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise HarnessError(f"{peer} did not end within {_DEADLINE} s") from late
    seconds = time.monotonic() - begin
    if _SAID not in done.stdout:
        raise HarnessError(f"{peer} did not run the command: {done.stdout[-1500:]}")
    return seconds


def _virtme(kernel: KernelImage, root: Path | None) -> list[str]:
    if root is None and kernel.arch != "x86_64":
        raise NotApplicable(f"virtme-ng needs a root directory for {kernel.arch}: --root DIR")
    arch = {"x86_64": [], "arm64": ["--arch", "arm64"], "riscv64": ["--arch", "riscv64"]}[kernel.arch]
    where = ["--root", str(root)] if root else []
    return [
        "vng", "--run", str(kernel.image), "--disable-kvm", "--cpus", "1", "--memory", "512M",
        *arch, *where, "--exec", f"'echo {_SAID}'",
    ]  # fmt: skip


def _tuxrun(kernel: KernelImage, root: Path | None) -> list[str]:
    where = ["--rootfs", str(root)] if root else []
    return [
        "tuxrun", "--runtime", "null", "--device", f"qemu-{kernel.arch.replace('_', '-')}".replace("x86-64", "x86_64"),
        "--kernel", str(kernel.image), *where, "--", "echo", _SAID,
    ]  # fmt: skip
