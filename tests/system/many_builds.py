"""Builds a kernel again and again, each time with one changed line of the same length, and asks each which one it is.

    python tests/system/many_builds.py LINUX BUILD [COUNT]

LINUX is a clean kernel tree that is a git repository of its own; arch/x86/kvm/svm/svm.c in it is changed, and restored
at the end. BUILD is a directory to build in; it stays, so that the next call takes less time. COUNT is 30 by default.

Each kernel is built and booted as `sysevent bisect` does it. It is printed with the length of the compressed kernel in
its bzImage: if two in a row have the same one, ccache in depend mode returned the first for both. The exit code is 0 if
each guest had the build ID of its vmlinux, and no two kernels had the same.
"""

from __future__ import annotations

import struct
import sys
import tempfile
import time
from pathlib import Path

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.bisect import guests
from sysevent.build.kernel import KernelBuilder
from sysevent.decode import build_id
from sysevent.images.kernel.identity import file_build_id
from sysevent.model import Proof
from sysevent.targets import spec

ARCH = ARCHITECTURES["x86_64"]
SOURCE = "arch/x86/kvm/svm/svm.c"
# Two characters of a message that only another CPU prints become a number.
OLD, NEW = 'pr_info("TSC scaling supported', 'pr_info("TSC scaling support{:02}'


def payload_length(image: Path) -> int:
    """The bytes of the compressed kernel: Documentation/arch/x86/boot.rst, payload_length."""
    length: int = struct.unpack_from("<I", image.read_bytes(), 0x24C)[0]
    return length


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(tree: Path, folder: Path, count: int) -> int:
    """Print a line for each kernel; the exit code."""
    builder = KernelBuilder(ARCH, folder, lambda line: None, build_id=file_build_id)
    target = spec.with_own_configuration(guests.target_for("", (), ARCH))
    boot = guests.boot_on(target, settings.from_environment(), say)
    source = tree / SOURCE
    original = source.read_text(encoding="utf-8")
    assert original.count(OLD) == 1, f"{SOURCE} has no line with {OLD}"
    seen: dict[str, int] = {}
    wrong = same_length = before = 0
    begin = time.monotonic()
    try:
        for number in range(count):
            source.write_text(original.replace(OLD, NEW.format(number)), encoding="utf-8")
            built = builder.build(tree, folder / "build.log")
            output = Path(built.spec.removeprefix("tree:"))
            linked, length = (
                build_id.of_elf((output / "vmlinux").read_bytes()),
                payload_length(output / ARCH.boot_image),
            )
            with tempfile.TemporaryDirectory() as logs:
                guest = boot(built.spec, Path(logs))
                try:
                    identity = guest.facts().identity
                finally:
                    guest.close()
            good = identity is not None and identity.build_id == linked and identity.proof is Proof.PROVEN
            wrong += not good or linked in seen
            same_length += length == before
            before = length
            seen[linked] = number
            seconds = time.monotonic() - begin
            say(f"{number + 1:3} {'right' if good else 'WRONG'} {length} bytes, {seconds:.0f} s, {identity}")
    finally:
        source.write_text(original, encoding="utf-8")
    say(f"{count} kernels, {len(seen)} build IDs, {wrong} wrong, {same_length} as long as the one before")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), int((sys.argv[3:] or ["30"])[0])))
