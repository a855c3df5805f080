"""A shell in a guest of each architecture: with commands from a pipe, and at a terminal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import processes
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.checkout import ROOT

# Seconds; four are usual.
TIMEOUT = 60
SCENARIO = {
    "arm64": "arm64.psci.off",
    "riscv64": "riscv64.after_mmio.shutdown",
    "x86_64": "x86_64.triple_fault",
}
COMMAND = ["-m", "sysevent", "shell", "--offline"]


def commands(target, text, *options):
    return subprocess.run(
        [sys.executable, *COMMAND, target, *options],
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        cwd=ROOT,
    )


def children(pid):
    """The processes below one: id and name, as words."""
    return [
        [str(one), processes.name(one)] for one in processes.pids() if processes.stat(one)[1:2] == [str(pid)]
    ]


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_commands_from_a_pipe(arch, servable):
    """Commands run in a guest with /dev/kvm and our VMM; output, errors and exit code arrive separately."""
    row = servable(arch)
    asked = f"ask {SCENARIO[arch]} | head -n 1"
    ran = commands(
        f"{arch}-tcg", f"uname -m\n{asked}\nseq 50000 | tail -n 1\nls /dev/kvm\necho no >&2\nexit 7\n"
    )
    assert ran.stdout.count("\n") == 4, ran.stdout + ran.stderr
    machine, first, last, kvm = ran.stdout.splitlines()
    assert (machine, last, kvm) == (row.uname_machine, "50000", "/dev/kvm")
    assert "SEV2" in first
    assert ran.stderr.splitlines()[-1] == "no"
    assert ran.returncode == 7


def test_end_of_the_pipe(servable):
    """The shell ends with the pipe, with the exit code of its last command."""
    servable("riscv64")
    assert commands("riscv64-tcg", "false\n").returncode == 1


def test_commands_that_hang(servable):
    """They end at --timeout, and the message names the option. A lost guest also exits with 3."""
    servable("riscv64")
    ran = commands("riscv64-tcg", "sleep 1000\n", "--timeout", "2")
    assert ran.returncode == 3
    assert "did not end within 2 s: set --timeout" in ran.stderr
    ran = commands("riscv64-tcg", "echo c >/proc/sysrq-trigger; sleep 1000\n")
    assert ran.returncode == 3
    assert "Kernel panic - not syncing: sysrq triggered crash" in ran.stderr


@pytest.fixture
def at_a_terminal(servable):
    """at_a_terminal(arch): a shell at a terminal, after its first prompt."""
    running = []

    def start(arch):
        servable(arch)
        found = pexpect.spawn(
            sys.executable,
            [*COMMAND, f"{arch}-tcg"],
            timeout=TIMEOUT,
            dimensions=(33, 101),
            encoding="utf-8",
            cwd=str(ROOT),
        )
        running.append(found)
        found.expect("Ctrl-] ends it")
        found.expect("-tcg# ")
        return found

    yield start
    for found in running:
        found.close(force=True)


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_at_a_terminal(arch, at_a_terminal):
    """The guest sees the window's size and its changes; Ctrl-C reaches the guest only; the exit code is the shell's."""
    shell = at_a_terminal(arch)
    shell.sendline("stty size")
    shell.expect("33 101")
    shell.setwinsize(20, 70)
    time.sleep(1)
    shell.sendline("stty size")
    shell.expect("20 70")
    shell.sendline("sleep 1000")
    time.sleep(0.5)
    shell.sendintr()
    shell.expect("-tcg# ")
    shell.sendline("exit 5")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 5


def test_ways_to_leave(at_a_terminal):
    """Ctrl-] and any signal end QEMU, too."""
    for way in (None, signal.SIGTERM, signal.SIGKILL):
        shell = at_a_terminal("riscv64")
        ((qemu, name),) = children(shell.pid)
        assert name.startswith("qemu-system")
        if way is None:
            shell.send("\x1d")
        else:
            os.kill(shell.pid, way)
        shell.expect(pexpect.EOF)
        shell.close()
        assert (shell.exitstatus, shell.signalstatus) == {
            None: (0, None),
            signal.SIGTERM: (143, None),
            signal.SIGKILL: (None, signal.SIGKILL),
        }[way]
        end = time.monotonic() + 10
        while Path(f"/proc/{qemu}").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert not Path(f"/proc/{qemu}").exists()
