"""A real gdb on a real guest of each architecture: stopped, looked at, sent on, and judged as ever."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.checkout import ROOT

# Where each machine starts, and one scenario of it. QEMU: hw/arm/virt.c, hw/riscv/boot.c (its reset vector),
# target/i386/cpu.c (f000:fff0, of which gdb sees the offset).
PLACES = {
    "arm64": (0x40000000, "psci.off]"),
    "riscv64": (0x1000, "srst.shutdown.0x0]"),
    "x86_64": (0xFFF0, "x86_64-tcg-triple_fault]"),
}
PATIENCE = 120  # seconds for what takes ten


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_attached(arch, bootable, tmp_path):
    """The line that the run prints works as it stands, and a guest that stood still for seconds is a good one."""
    if shutil.which("gdb-multiarch") is None:
        pytest.skip("gdb-multiarch is not installed: apt-get install gdb-multiarch")
    bootable(arch)
    start, scenario = PLACES[arch]
    said = tmp_path / "said"
    command = [sys.executable, "-m", "sysevent", "run", "--offline", "--gdb", "--target", f"{arch}-tcg"]
    with said.open("wb") as out:
        run = subprocess.Popen(
            [*command, "--results", tmp_path / "results", "--", "-p", "no:cacheprovider", "-k", scenario],
            stdout=out,
            stderr=out,
            env=os.environ | {"SYSEVENT_LOCKS": str(tmp_path / "locks")},
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        line = awaited(said, r"gdb-multiarch .*", run)
        gdb = subprocess.run(
            [
                *shlex.split(line),
                "-batch",
                "-nx",
                "-ex",
                "print/x $pc",
                "-ex",
                "shell sleep 2",
                "-ex",
                "detach",
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert f"$1 = {start:#x}\n" in gdb.stdout, gdb.stdout + gdb.stderr
        assert run.wait(PATIENCE) == 0, said.read_text()
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait(10)
    assert re.search(r"1 target asked: \d PASS$", said.read_text(), re.MULTILINE), said.read_text()
    assert " from a snapshot" not in said.read_text()


def awaited(path, pattern, process):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = re.search(pattern, path.read_text())
        if found:
            return found[0].rstrip()
        assert process.poll() is None, path.read_text()
        time.sleep(0.1)
    raise AssertionError(f"no {pattern} within {PATIENCE} s:\n{path.read_text()}")
