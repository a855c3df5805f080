"""One run of the main job in a directory of its own, with a fault in it, and what it left behind.

A run must not give a wrong verdict, hang, leave a process, or leave a file, whatever the fault.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from sysevent.checkout import ROOT
from trials import proc

TARGET, KERNEL = "arm64-tcg", "debian:6.12"
# Seconds. A run without a fault takes 3 at most; a lost guest is booted once more.
LIMIT = 90
# A shell that starts a job in the background lets it ignore Ctrl-C.
_DEFAULT_SIGNALS = ("env", "--default-signal=INT,HUP,TERM")
# Lines that a fault may add to the output of a clean run.
_MORE_LINES = 150
# In the environment of every process of a trial.
_MARK = "SYSEVENT_TRIAL"

Verdicts = dict[tuple[str, str], str]


class Outcome(msgspec.Struct, frozen=True):
    """What one run left behind."""

    # None: it did not end within the limit, and was killed.
    code: int | None
    output: str
    seconds: float
    # (test, ABI) -> status
    verdicts: Verdicts
    # Reasons by the same keys.
    reasons: dict[tuple[str, str], str]
    incidents: tuple[str, ...]
    # Releases of the kernels that answered.
    kernels: frozenset[str]
    # Processes that were still running after the run.
    orphans: tuple[str, ...]
    # Files that the run left outside its cache and results, and drafts within them.
    left: tuple[str, ...]


class Trial:
    """A place for runs: a copy of the cache, a results directory, a directory for temporary files."""

    def __init__(self, folder: Path, base: Path) -> None:
        """base is a cache that has all that a run needs; its files are linked, so faults replace files."""
        self.folder = folder
        self.cache = folder / "cache"
        self.results = folder / "results"
        self.temporary = folder / "tmp"
        self.bin = folder / "bin"
        for old in (self.cache, self.results, self.bin, self.temporary):
            shutil.rmtree(old, ignore_errors=True)
        subprocess.run(["cp", "-al", str(base), str(self.cache)], check=True)
        self.temporary.mkdir()
        self.bin.mkdir()
        self.mark = uuid.uuid4().hex
        self.environment: dict[str, str] = {}
        # Words in front of the command, such as prlimit and its options.
        self.prefix: list[str] = []
        self.kernel, self.target = KERNEL, TARGET
        self.options: list[str] = []
        # Options of pytest, at the end of the command.
        self.words: list[str] = []
        # Seconds for the run.
        self.limit: float = LIMIT
        # Seconds for processes to end after the run.
        self.grace: float = 3
        # Each is called once with the trial, in a thread of its own, while the run is going on.
        self.during: list[Callable[[Trial], None]] = []
        # What went wrong in one of them.
        self.failed: list[BaseException] = []
        self.process: subprocess.Popen[str] | None = None
        self.undo: list[Callable[[], None]] = []

    def command(self, results: Path) -> list[str]:
        """The command of one run."""
        whole = _command(self.target, self.kernel, results)
        return [*_DEFAULT_SIGNALS, *self.prefix, *whole, *self.options, "--", *self.words]

    def environ(self) -> dict[str, str]:
        """The environment of a run without the fault."""
        return os.environ | {
            "PYTHONPATH": f"{ROOT / 'src'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SYSEVENT_CACHE": str(self.cache),
            # Others on this machine are not waited for.
            "SYSEVENT_LOCKS": str(self.folder / "locks"),
            "TMPDIR": str(self.temporary),
            _MARK: self.mark,
        }

    def prepare(self) -> None:
        """Run once to the end before the fault is injected, for what such a run leaves in the cache."""
        results = self.folder / "results-before"
        shutil.rmtree(results, ignore_errors=True)
        subprocess.run(
            self.command(results), stdin=subprocess.DEVNULL, capture_output=True, env=self.environ(), cwd=self.folder,
            timeout=LIMIT, check=True,
        )  # fmt: skip

    def run(self, *, faulty: bool = True) -> Outcome:
        """Run the main job on one target to its end.

        faulty: False leaves out what of the fault is not on disk.
        """
        environment = self.environ()
        results, command = self.results, self.command(self.results)
        if faulty:
            environment |= self.environment
            environment["PATH"] = f"{self.bin}{os.pathsep}{environment['PATH']}"
        else:
            results = self.folder / "results-again"
            shutil.rmtree(results, ignore_errors=True)
            command = _command(TARGET, KERNEL, results)
        begin = time.monotonic()
        log = self.folder / ("output" if faulty else "output-again")
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=self.folder,
                start_new_session=True, text=True,
            )  # fmt: skip
        try:
            threads = [threading.Thread(target=self._during, args=(one,)) for one in self.during if faulty]
            for thread in threads:
                thread.start()
            code: int | None = self.process.wait(self.limit)
        except subprocess.TimeoutExpired:
            code = None
            self.process.kill()
            self.process.wait()
        seconds = time.monotonic() - begin
        for thread in threads:
            thread.join()
        if self.failed:
            raise self.failed[0]
        orphans = self._orphans()
        return _outcome(self.target if faulty else TARGET, results, log, code, seconds, orphans, self._left())

    def _during(self, hurt: Callable[[Trial], None]) -> None:
        try:
            hurt(self)
        except BaseException as error:
            # Raised again by run(), in the thread of the test.
            self.failed.append(error)

    def close(self) -> None:
        """Undo what a fault did to the machine."""
        while self.undo:
            self.undo.pop()()

    def marked(self) -> Iterator[int]:
        """The processes that the run has started, itself among them."""
        wanted = f"{_MARK}={self.mark}".encode()
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            try:
                if wanted in (path / "environ").read_bytes().split(b"\0"):
                    yield int(path.name)
            except OSError:
                continue

    def qemus(self) -> list[int]:
        """The QEMUs of guests that the run has started; not the one that is started to see whether it can be."""
        found = [pid for pid in self.marked() if proc.name(pid).startswith("qemu-system")]
        return [pid for pid in found if b"-kernel" in proc.words(pid)]

    def await_qemu(self, seconds: float = 20) -> int | None:
        """The process ID of a QEMU as soon as there is one; None if the run ends before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process is not None and self.process.poll() is None:
            found = self.qemus()
            if found:
                return found[0]
            time.sleep(0.005)
        return None

    def _orphans(self) -> tuple[str, ...]:
        end = time.monotonic() + self.grace
        while True:
            running = [pid for pid in self.marked() if proc.state(pid) not in ("Z", "")]
            if not running or time.monotonic() > end:
                break
            time.sleep(0.02)
        names = tuple(f"{proc.name(pid)} ({pid})" for pid in running)
        for pid in running:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        return names

    def _left(self) -> tuple[str, ...]:
        return tuple(str(path.relative_to(self.folder)) for path in sorted(self.temporary.rglob("*")))


def _command(target: str, kernel: str, results: Path) -> list[str]:
    run = [
        sys.executable,
        "-m",
        "sysevent",
        "run",
        "--offline",
        "--target",
        target,
        "--results",
        str(results),
    ]
    return [*run, "--kernel", kernel] if kernel else run


def _outcome(
    target: str,
    results: Path,
    log: Path,
    code: int | None,
    seconds: float,
    orphans: tuple[str, ...],
    left: tuple[str, ...],
) -> Outcome:
    verdicts: Verdicts = {}
    reasons: dict[tuple[str, str], str] = {}
    incidents: list[str] = []
    kernels: set[str] = set()
    lines: list[str] = []
    # Not every run comes so far.
    with contextlib.suppress(OSError):
        lines = (results / "run.jsonl").read_text(errors="replace").splitlines()
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            # Cut off by the end of its writer.
            continue
        match record["record"]:
            case "verdict" if record["target"].partition("@")[0] == target:
                key = record["test"], record["abi"]
                verdicts[key], reasons[key] = record["status"], record["reason"]
            case "incident":
                incidents.append(record["reason"])
            case "target":
                kernels.add(record["kernel"])
    output = log.read_text(errors="replace")
    seen = verdicts, reasons, tuple(incidents), frozenset(kernels)
    return Outcome(code, output, seconds, *seen, orphans, left)


def problems(
    found: Outcome, clean: Outcome, *, same: bool, instead: frozenset[str] = frozenset()
) -> list[str]:
    """What is wrong with the outcome of a run with a fault, compared with a clean run.

    same: True if the fault must not cost a verdict. Otherwise verdicts may be missing, MISS, or one of instead.
    """
    wrong = [*_of_the_output(found.output, clean.output)]
    missing = not {"MISS", "ERROR"}.isdisjoint(found.verdicts.values())
    if found.code is None:
        wrong.append("hang: not ended within its limit")
    for key, status in found.verdicts.items():
        if not same and (status == "MISS" or status in instead):
            continue
        if status != clean.verdicts.get(key):
            wrong.append(f"{status} for {key[0]}, which is {clean.verdicts.get(key)}: {found.reasons[key]}")
    if same and found.verdicts.keys() != clean.verdicts.keys():
        wrong.append(f"{len(found.verdicts)} verdicts, {len(clean.verdicts)} in a clean run")
    if same and found.code != clean.code:
        wrong.append(f"exit code {found.code}, {clean.code} in a clean run")
    if not same and found.code == 0 and (missing or found.verdicts.keys() != clean.verdicts.keys()):
        wrong.append("exit code 0, although verdicts are missing")
    wrong += [f"process left: {name}" for name in found.orphans]
    wrong += [f"file left: {name}" for name in found.left]
    return wrong


def _of_the_output(output: str, usual: str) -> Iterator[str]:
    if "Traceback (most recent call last)" in output:
        yield "a traceback"
    if "\x1b" in output or "\x07" in output:
        yield "terminal escapes in the output"
    lines, most = len(output.splitlines()), len(usual.splitlines()) + _MORE_LINES
    if lines > most:
        yield f"{lines} lines of output, more than {most}"
