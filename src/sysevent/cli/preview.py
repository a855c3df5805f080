"""What pytest would refuse of a run: found by a collection that asks nothing, while a kernel is built for it."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sysevent import options
from sysevent.checkout import ROOT
from sysevent.errors import UsageError
from sysevent.pytest_process import suites_command
from sysevent.targets import built

# Seconds; it takes one.
_DEADLINE = 120

Collect = Callable[[Sequence[str], Mapping[str, str]], "subprocess.CompletedProcess[str]"]
"""Runs pytest with arguments and an environment, to its end."""


def collect(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `pytest suites --collect-only` with arguments at the root of the checkout."""
    return subprocess.run(
        suites_command(["--collect-only", "-qq", *arguments]),
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_DEADLINE,
        check=False,
    )


class Preview:
    """The result of check(), which may not be known yet."""

    def __init__(self, found: Future[None]) -> None:
        self._found = found

    def look(self) -> None:
        """Raise the UsageError of check() if it has ended with one."""
        if self._found.done():
            self._found.result()

    def wait(self) -> None:
        """Wait until check() has ended, and raise its UsageError."""
        self._found.result()


@contextlib.contextmanager
def beside(
    args: argparse.Namespace, outputs: Mapping[str, Path], run: Collect = collect
) -> Iterator[Preview]:
    """Check the arguments in a thread while the context lasts, whose end waits for the result and raises it.

    A collection takes half a second, in which make is already at work.
    """
    with ThreadPoolExecutor(1) as pool:
        preview = Preview(pool.submit(check, args, outputs, run))
        yield preview
        preview.wait()


def check(args: argparse.Namespace, outputs: Mapping[str, Path], run: Collect = collect) -> None:
    """Raise UsageError with pytest's message if it would not run a test for these arguments of `sysevent run`.

    outputs: where the kernel of each architecture will be; none of them has to exist. A wrong -k, for example, would
    otherwise be noticed after a build of minutes. Nothing is started if there is nothing that pytest could refuse.
    """
    if not (args.pytest_args or args.abi or args.require):
        return
    words = options.spelled(vars(args), lambda option, value: options.absolute(option, value, Path.cwd()))
    environment = dict(os.environ)
    built.hand_over(outputs, environment)
    done = run([*words, *args.pytest_args], environment)
    if done.returncode:
        raise UsageError(
            _reason(done.stderr) or _reason(done.stdout) or f"pytest ended with {done.returncode}"
        )


def _reason(output: str) -> str:
    """The line of pytest's output that says what is wrong; "" if it printed nothing."""
    lines = [line for line in output.splitlines() if line.strip()]
    found = next((line for line in lines if ": error: " in line), lines[0] if lines else "")
    return found.rpartition(": error: ")[2].removeprefix("ERROR: ")
