"""A real gdb on a real guest of each architecture: stopped, inspected, continued, and then judged as usual."""

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

# The first pc of each architecture under QEMU, and one scenario. Sources: hw/arm/virt.c, hw/riscv/boot.c (its reset
# vector), target/i386/cpu.c (f000:fff0, of which gdb shows the offset).
FIRST_PC = {
    "arm64": (0x40000000, "psci.off]"),
    "riscv64": (0x1000, "srst.shutdown.0x0]"),
    "x86_64": (0xFFF0, "x86_64-tcg-triple_fault]"),
}
# Seconds; ten are usual.
TIMEOUT = 120


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_attached(arch, bootable, tmp_path):
    """The printed command line works unchanged, and a guest that was stopped for seconds gives verdicts."""
    if shutil.which("gdb-multiarch") is None:
        pytest.skip("gdb-multiarch is not installed: apt-get install gdb-multiarch")
    bootable(arch)
    start, scenario = FIRST_PC[arch]
    log = tmp_path / "log"
    command = [sys.executable, "-m", "sysevent", "run", "--offline", "--gdb", "--target", f"{arch}-tcg"]
    with log.open("wb") as out:
        run = subprocess.Popen(
            [*command, "--results", tmp_path / "results", "--", "-p", "no:cacheprovider", "-k", scenario],
            stdout=out,
            stderr=out,
            env=os.environ | {"SYSEVENT_LOCKS": str(tmp_path / "locks")},
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        line = awaited(log, r"gdb-multiarch .*", run)
        commands = ["-ex", "print/x $pc", "-ex", "shell sleep 2", "-ex", "detach"]
        gdb = subprocess.run(
            [*shlex.split(line), "-batch", "-nx", *commands],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert f"$1 = {start:#x}\n" in gdb.stdout, gdb.stdout + gdb.stderr
        assert run.wait(TIMEOUT) == 0, log.read_text()
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait(10)
    assert re.search(r"1 target asked: \d PASS$", log.read_text(), re.MULTILINE), log.read_text()
    assert " from a snapshot" not in log.read_text()


def awaited(path, pattern, process):
    """The first match of a pattern in the output file of a process."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        found = re.search(pattern, path.read_text())
        if found:
            return found[0].rstrip()
        assert process.poll() is None, path.read_text()
        time.sleep(0.1)
    raise AssertionError(f"no {pattern} within {TIMEOUT} s:\n{path.read_text()}")
