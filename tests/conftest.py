"""Recordings of real kernels: runs, and the layouts of their headers; and machines on which not everything can run."""

import functools
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from sysevent import interrupts
from sysevent.decode.structs import Layout
from sysevent.errors import ToolMissing
from sysevent.model import Facts, Observation
from sysevent.report import records, run_log

RUNS = Path(__file__).parent / "data" / "runs"
LAYOUTS = Path(__file__).parent / "data" / "layout"
SYSTEM = Path(__file__).resolve().parent / "system"


def leaves_out_system_tests(config):
    """Whether pytest's arguments name a directory that tests/system is in, and nothing that is in tests/system."""
    here = config.invocation_params.dir
    named = [(here / word.partition("::")[0]).resolve() for word in config.args]
    return any(SYSTEM.is_relative_to(path) for path in named if path != SYSTEM) and not any(
        path.is_relative_to(SYSTEM) for path in named
    )


def pytest_ignore_collect(collection_path, config):
    """Tests that boot guests take twenty minutes: they run if they are named."""
    return (collection_path.resolve() == SYSTEM and leaves_out_system_tests(config)) or None


def pytest_report_header(config):
    """What does not run."""
    if leaves_out_system_tests(config):
        return "left out: the tests that boot guests, ./sysevent test tests/system"
    return []


# Tests write programs and execute them.
if os.statvfs(tempfile.gettempdir()).f_flag & os.ST_NOEXEC:
    places = [Path("/var/tmp"), Path.home(), Path("/dev/shm")]
    usable = [
        place for place in places if os.access(place, os.W_OK) and not os.statvfs(place).f_flag & os.ST_NOEXEC
    ]
    if usable:
        # pytest's own variable: the directory of tmp_path.
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(usable[0])

# What this process ignores, as under nohup, the programs that tests start would ignore as well, and then not end by it.
# A handler that does nothing is not passed on to them.
for number in interrupts.ENDING:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


def _skip_what_cannot_run(error):
    """Skip a test that failed because this machine has no git, or no pseudo terminals."""
    lacks_git = "git is not installed" in str(error) or getattr(error, "filename", "") == "git"
    if lacks_git and shutil.which("git") is None:
        pytest.skip("git is not installed")
    if "out of pty devices" in str(error):
        pytest.skip("no pseudo terminal here (/dev/pts)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """What a test's fixtures cannot do here skips it."""
    try:
        return (yield)
    except (OSError, ToolMissing) as error:
        _skip_what_cannot_run(error)
        raise


# For the test itself.
pytest_runtest_call = pytest_runtest_setup


@dataclass(frozen=True)
class Recording:
    """What one run saw of one kernel: facts by target, and observations by (target, scenario, ABI)."""

    facts: dict[str, Facts]
    seen: dict[tuple[str, str, str], Observation]

    def of(self, target: str, scenario: str, abi: str = "") -> Observation:
        """One observation; without an ABI the native one, which has the name of the architecture."""
        return self.seen[target, scenario, abi or self.facts[target].arch]


@functools.cache
def _recording(name: str) -> Recording:
    facts, seen = {}, {}
    for record in run_log.read(RUNS / f"{name}.jsonl"):
        if isinstance(record, records.Target):
            facts[record.name] = record.facts()
        else:
            observation = record.seen()
            seen[record.target, observation.scenario, observation.abi] = observation
    return Recording(facts, seen)


@pytest.fixture
def recording():
    """recording("debian-6.12"): tests/data/runs/debian-6.12.jsonl, as Facts and Observations."""
    return _recording


@pytest.fixture
def recorded_layout():
    """recorded_layout("5.10", "i386"): the layout of Debian's linux-libc-dev, trimmed; a new object, free to change."""

    def read(kernel, abi):
        return msgspec.json.decode((LAYOUTS / f"{kernel}-{abi}.json").read_bytes(), type=Layout)

    return read
