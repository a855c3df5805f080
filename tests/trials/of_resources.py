"""Faults of the machine: full disks, limits, missing directories."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from trials.catalogue import fault
from trials.trial import Trial


def _not_root() -> str:
    return "" if os.geteuid() == 0 else "mounting takes root"


def _limits(name: str, how: str, option: str, *, boot: bool, same: bool = False) -> None:
    @fault(name, how, same=same)
    def inject(trial: Trial, chance: random.Random) -> None:
        if boot:
            shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)
        trial.prefix = ["prlimit", option, "--"]


_limits("few file descriptors", "The run may open 24 files.", "--nofile=24:24", boot=False)
_limits("very few file descriptors", "The run may open 14 files.", "--nofile=14:14", boot=False)
_limits(
    "small files", "No file may have more than 1 MiB (`ulimit -f`).", "--fsize=1048576:1048576", boot=True
)
_limits("little address space", "The run may use 600 MB of address space.", "--as=600000000", boot=False)


def _mount(trial: Trial, path: Path, size: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    trial.undo.append(lambda: subprocess.run(["umount", "-l", str(path)], check=True))


@fault("disk of snapshots full", "The folder of snapshots is a disk of 20 MB.", obstacle=_not_root)
def _snapshots_full(trial: Trial, chance: random.Random) -> None:
    shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)
    _mount(trial, trial.cache / "snapshots", 20 << 20)


@fault("disk of snapshots almost full", "The folder of snapshots is a disk of 70 MB.", obstacle=_not_root)
def _snapshots_almost(trial: Trial, chance: random.Random) -> None:
    shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)
    _mount(trial, trial.cache / "snapshots", 70 << 20)


@fault("disk of results full", "The results directory is a disk of 200 KB.", same=False, obstacle=_not_root)
def _results_full(trial: Trial, chance: random.Random) -> None:
    _mount(trial, trial.results, 200 << 10)


@fault("disk of logs full", "The directory of a target's logs is a full disk.", obstacle=_not_root)
def _logs_full(trial: Trial, chance: random.Random) -> None:
    shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)
    folder = trial.results / trial.target
    _mount(trial, folder, 4096)
    (folder / "full").write_bytes(bytes(2048))


@fault(
    "cache read-only", "The cache is mounted read-only; it has all that the run needs.", obstacle=_not_root
)
def _read_only(trial: Trial, chance: random.Random) -> None:
    subprocess.run(["mount", "--bind", str(trial.cache), str(trial.cache)], check=True)
    trial.undo.append(lambda: subprocess.run(["umount", "-l", str(trial.cache)], check=True))
    subprocess.run(["mount", "-o", "remount,bind,ro", str(trial.cache)], check=True)


@fault(
    "cache read-only, no snapshots",
    "The cache is mounted read-only, and has no snapshots.",
    obstacle=_not_root,
)
def _read_only_boot(trial: Trial, chance: random.Random) -> None:
    shutil.rmtree(trial.cache / "snapshots", ignore_errors=True)
    _read_only(trial, chance)


@fault("cache is a file", "SYSEVENT_CACHE is the path of a file.", same=False)
def _cache_file(trial: Trial, chance: random.Random) -> None:
    path = trial.folder / "cache-file"
    path.write_text("")
    trial.environment["SYSEVENT_CACHE"] = str(path)


@fault("results is a file", "`--results` is the path of a file.", same=False)
def _results_file(trial: Trial, chance: random.Random) -> None:
    trial.results.write_text("")
    trial.undo.append(trial.results.unlink)


@fault("results deleted", "The results directory is deleted while the run goes on.", same=False)
def _results_deleted(trial: Trial, chance: random.Random) -> None:
    def during(trial: Trial) -> None:
        end = time.monotonic() + 20
        while not (trial.results / "run.jsonl").exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        shutil.rmtree(trial.results, ignore_errors=True)

    trial.during.append(during)


@fault("TMPDIR missing", "TMPDIR names a directory that does not exist.")
def _tmpdir(trial: Trial, chance: random.Random) -> None:
    trial.environment["TMPDIR"] = "/nonexistent"


@fault("no HOME", "HOME is not set.")
def _home(trial: Trial, chance: random.Random) -> None:
    trial.prefix = ["env", "-u", "HOME"]


@fault("plain locale", "The locale is C, and Python's UTF-8 mode is off.")
def _locale(trial: Trial, chance: random.Random) -> None:
    trial.environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@fault("output closed", "The standard output is closed by its reader, as by `head`.", same=False)
def _closed(trial: Trial, chance: random.Random) -> None:
    # The exit code is that of the run, not that of head.
    trial.prefix = ["bash", "-o", "pipefail", "-c", '"$@" 2>&1 | head -n 1', "bash"]
