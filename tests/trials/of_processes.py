"""Faults of running processes: killed, stopped, or in the way of each other."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from trials import proc
from trials.catalogue import fault
from trials.trial import Trial


def _boot(trial: Trial) -> None:
    """Let the run boot its guest instead of restoring it."""
    shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)


def _lose_qemu(number: int, name: str, how: str, *, booted: bool, latest: float) -> None:
    @fault(name, how, slow=number == signal.SIGSTOP)
    def inject(trial: Trial, chance: random.Random) -> None:
        if booted:
            _boot(trial)

        def during(trial: Trial) -> None:
            pid = trial.await_qemu()
            time.sleep(chance.uniform(0, latest))
            if pid is not None:
                proc.send(pid, number)

        trial.during.append(during)


_lose_qemu(
    signal.SIGKILL,
    "QEMU killed in a boot",
    "QEMU gets SIGKILL within 2 s of its start.",
    booted=True,
    latest=2,
)
_lose_qemu(
    signal.SIGKILL, "QEMU killed", "QEMU gets SIGKILL within 0.5 s of its start.", booted=False, latest=0.5
)
_lose_qemu(
    signal.SIGSEGV, "QEMU crashes", "QEMU gets SIGSEGV within 1 s of its start.", booted=False, latest=1
)
_lose_qemu(signal.SIGTERM, "QEMU ended", "QEMU gets SIGTERM within 1 s of its start.", booted=False, latest=1)
_lose_qemu(
    signal.SIGSTOP, "QEMU stopped for ever", "QEMU gets SIGSTOP within 0.5 s of its start.", booted=False, latest=0.5
)  # fmt: skip


@fault("QEMU stopped for 3 s", "QEMU gets SIGSTOP within 0.5 s of its start, and SIGCONT 3 s later.")
def _paused(trial: Trial, chance: random.Random) -> None:
    def during(trial: Trial) -> None:
        pid = trial.await_qemu()
        time.sleep(chance.uniform(0, 0.5))
        if pid is not None:
            proc.send(pid, signal.SIGSTOP)
            time.sleep(3)
            proc.send(pid, signal.SIGCONT)

    trial.during.append(during)


@fault("QEMU slowed down", "QEMU is stopped and continued 40 times a second.")
def _slow(trial: Trial, chance: random.Random) -> None:
    def during(trial: Trial) -> None:
        end = time.monotonic() + 6
        while time.monotonic() < end and trial.process is not None and trial.process.poll() is None:
            found = trial.qemus()
            for number in (signal.SIGSTOP, signal.SIGCONT):
                for pid in found:
                    proc.send(pid, number)
                time.sleep(0.012)

    trial.during.append(during)


@fault("every QEMU killed", "Each QEMU gets SIGKILL within 0.1 s of its start.", same=False)
def _all(trial: Trial, chance: random.Random) -> None:
    _boot(trial)

    def during(trial: Trial) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end and trial.process is not None and trial.process.poll() is None:
            for pid in trial.qemus():
                proc.send(pid, signal.SIGKILL)
            time.sleep(0.1)

    trial.during.append(during)


@fault("QEMU killed in a save", "QEMU gets SIGKILL when the first file of a snapshot appears.")
def _save(trial: Trial, chance: random.Random) -> None:
    _boot(trial)

    def during(trial: Trial) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end and trial.process is not None and trial.process.poll() is None:
            if any(True for _ in trial.cache.glob("snapshots/.*")):
                for pid in trial.qemus():
                    proc.send(pid, signal.SIGKILL)
                return
            time.sleep(0.002)

    trial.during.append(during)


def _end_run(number: int, name: str, how: str, *, booted: bool) -> None:
    @fault(name, how, same=False)
    def inject(trial: Trial, chance: random.Random) -> None:
        if booted:
            _boot(trial)

        def during(trial: Trial) -> None:
            time.sleep(chance.uniform(0.1, 3 if booted else 1.2))
            assert trial.process is not None
            proc.send(trial.process.pid, number)

        trial.during.append(during)


_end_run(signal.SIGKILL, "run killed", "The run gets SIGKILL within 1.2 s.", booted=False)
_end_run(signal.SIGKILL, "run killed in a boot", "The run gets SIGKILL within 3 s of a boot.", booted=True)
_end_run(signal.SIGTERM, "run terminated", "The run gets SIGTERM within 1.2 s.", booted=False)
_end_run(
    signal.SIGTERM, "run terminated in a boot", "The run gets SIGTERM within 3 s of a boot.", booted=True
)
_end_run(signal.SIGHUP, "terminal closed", "The run gets SIGHUP within 1.2 s.", booted=False)
_end_run(signal.SIGINT, "Ctrl-C", "The run gets SIGINT within 1.2 s.", booted=False)
_end_run(signal.SIGINT, "Ctrl-C in a boot", "The run gets SIGINT within 3 s of a boot.", booted=True)


def _suspend(name: str, how: str, seconds: float, *, whole: bool) -> None:
    @fault(name, how, slow=seconds > 10)
    def inject(trial: Trial, chance: random.Random) -> None:
        def during(trial: Trial) -> None:
            time.sleep(chance.uniform(0.2, 1.0))
            assert trial.process is not None
            found = list(trial.marked()) if whole else [trial.process.pid]
            for pid in found:
                proc.send(pid, signal.SIGSTOP)
            time.sleep(seconds)
            for pid in found:
                proc.send(pid, signal.SIGCONT)

        trial.during.append(during)


_suspend(
    "run suspended", "All processes of the run are stopped for 6 s, as when a laptop sleeps.", 6, whole=True
)
_suspend("run suspended for long", "All processes of the run are stopped for 30 s.", 30, whole=True)
_suspend("run stopped", "The run is stopped for 30 s; its guests go on.", 30, whole=False)


@fault(
    "kept guests, run killed",
    "A run with `--keep always` gets SIGKILL; its guests end after `--keep-for`.",
    same=False,
)
def _keep_killed(trial: Trial, chance: random.Random) -> None:
    trial.options += ["--keep", "always", "--keep-for", "8"]
    trial.grace = 20

    def during(trial: Trial) -> None:
        trial.await_qemu()
        time.sleep(chance.uniform(0, 3))
        assert trial.process is not None
        proc.send(trial.process.pid, signal.SIGKILL)

    trial.during.append(during)


@fault("workers killed", "The run has two workers (`-n 2`), and all get SIGKILL.", same=False)
def _workers(trial: Trial, chance: random.Random) -> None:
    # With workers pytest creates a directory for temporary files, and keeps the last three.
    trial.words += ["-n", "2", f"--basetemp={trial.folder / 'workers'}"]

    def during(trial: Trial) -> None:
        trial.await_qemu()
        time.sleep(chance.uniform(0, 1))
        for pid in trial.marked():
            if any(b"sys.stdin.readline" in word for word in proc.words(pid)):
                proc.send(pid, signal.SIGKILL)

    trial.during.append(during)


@fault("repeated run interrupted", "A run with `--repeat 2` gets SIGINT within 4 s.", same=False)
def _repeat(trial: Trial, chance: random.Random) -> None:
    trial.options += ["--repeat", "2"]

    def during(trial: Trial) -> None:
        time.sleep(chance.uniform(0.1, 4))
        assert trial.process is not None
        # To the process group, as a terminal does.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(trial.process.pid, signal.SIGINT)

    trial.during.append(during)


def _second(trial: Trial, results: Path) -> subprocess.CompletedProcess[str]:
    """A second run beside that of the trial, to its end."""
    return subprocess.run(
        trial.command(results),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=trial.environ(),
        timeout=90,
        check=False,
        text=True,
    )


@fault("two runs, one cache", "Two runs start at once with an empty set of snapshots and programs.")
def _two(trial: Trial, chance: random.Random) -> None:
    _boot(trial)
    shutil.rmtree(trial.cache / "build")
    shutil.rmtree(trial.cache / "initramfs")

    def during(trial: Trial) -> None:
        other = trial.folder / "results-other"
        shutil.rmtree(other, ignore_errors=True)
        done = _second(trial, other)
        assert done.returncode == 0, done.stdout[-2000:]

    trial.during.append(during)


@fault("two runs, one results directory", "A second run starts with the `--results` of the first one.")
def _same_results(trial: Trial, chance: random.Random) -> None:
    def during(trial: Trial) -> None:
        end = time.monotonic() + 20
        while not (trial.results / "run.jsonl").exists() and time.monotonic() < end:
            time.sleep(0.01)
        done = _second(trial, trial.results)
        # The first one may have ended by then.
        assert done.returncode in (0, 4), done.stdout[-2000:]
        assert len((done.stdout + done.stderr).splitlines()) < 150

    trial.during.append(during)


def _busy() -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]


@fault("machine busy", "Three endless loops run beside a boot.")
def _busy_loops(trial: Trial, chance: random.Random) -> None:
    _boot(trial)

    def during(trial: Trial) -> None:
        for loop in _busy():
            trial.undo.append(loop.wait)
            trial.undo.append(loop.kill)

    trial.during.append(during)
