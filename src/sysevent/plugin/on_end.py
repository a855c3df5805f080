"""The command of --on-end: it is run once the run has ended and everything about it is on the screen.

It gets the results in its environment and the text report on its standard input. Nothing that it does changes the exit
code of the run, and it ends with this process.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from sysevent.errors import ToolMissing
from sysevent.model import Status
from sysevent.plugin.run import RUN
from sysevent.plugin.summary import written
from sysevent.process import die_with_parent
from sysevent.pytest_process import here
from sysevent.report import merging, text_report
from sysevent.report.matrix import matrix
from sysevent.report.records import Record
from sysevent.text import escape_line, last_lines

# Seconds that it may take; then it is killed, this many seconds after SIGTERM.
SECONDS = 60
_KILL_AFTER = 5
# Bytes of its output that are read, of which the last line is shown.
_OUTPUT = 1 << 16


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Run the command after everything else; not in a worker of pytest-xdist, and not if nothing was asked."""
    try:
        return (yield)
    finally:
        config = session.config
        command = config.getoption("on_end")
        if command and RUN in config.stash and not hasattr(config, "workerinput"):
            run = config.stash[RUN]
            everything = written(run)
            line = started(
                command, environment(str(run.results), int(session.exitstatus), everything), everything
            )
            if line:
                run.progress(line)


def environment(results: str, exit_code: int, run: Sequence[Record]) -> dict[str, str]:
    """What the command finds in its environment besides ours: SYSEVENT_RESULTS, _EXIT, _REASON, and the counts."""
    counts = matrix(run).counts
    return {
        "SYSEVENT_RESULTS": results,
        "SYSEVENT_EXIT": str(exit_code),
        "SYSEVENT_REASON": "; ".join(filter(None, map(merging.how_it_ended, merging.split(run)))),
        **{f"SYSEVENT_{status}": str(counts.get(status, 0)) for status in Status},
    }


def started(
    command: str, variables: Mapping[str, str], run: Sequence[Record], seconds: float = SECONDS
) -> str:
    """Run a command of the shell where the user stands; return a line about it, "" if there is nothing to say.

    timeout(1) starts it, and passes on to all of its processes the signal that the kernel sends when this one ends.
    """
    words = ["timeout", f"--kill-after={_KILL_AFTER}", str(seconds), "sh", "-c", command]
    with tempfile.TemporaryFile() as report, tempfile.TemporaryFile() as output:
        report.write(text_report.render(run).encode(errors="backslashreplace"))
        report.seek(0)
        begin = time.monotonic()
        try:
            code = subprocess.run(
                die_with_parent(words, "TERM"),
                cwd=here(),
                env={**os.environ, **variables},
                stdin=report,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        except (OSError, ValueError, ToolMissing) as error:
            return f"--on-end could not be run: {escape_line(str(error))}"
        output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT))
        last = (last_lines(output.read().decode(errors="replace").strip(), 1) or [""])[0]
    said = f": {last}" if last else ""
    if code and time.monotonic() - begin >= seconds:
        return f"--on-end was ended after {seconds:g} s{said}"
    if code < 0:
        # A signal, as shells have it.
        code = 128 - code
    return f"--on-end failed with exit code {code}{said}" if code else f"--on-end{said}" if said else ""
