"""Real guests whose answers are altered on their way: a failure in one guest, in every guest, and an ill guest."""

import os
import subprocess
import sys

import pytest

from sysevent.checkout import ROOT
from sysevent.report import records, run_log

# Seconds; ten are usual.
TIMEOUT = 300
SCENARIO = "riscv64.srst.shutdown.0x0"
# Loaded by pytest. It alters the answer of one scenario, in the first guest or in all, or that of the first controls.
PLUGIN = """
import os
import msgspec
from sysevent.engine import pipeline

decoded, left = pipeline.decoded, int(os.environ["ALTERED"])

def altered(request, *reply):
    global left
    answer = decoded(request, *reply)
    if left and request.scenario.name == os.environ["SCENARIO"]:
        left -= 1
        raw = answer.exits["exit"]
        head = raw.head[:36] + b"\\x05" + raw.head[37:]
        answer = msgspec.structs.replace(answer, exits={"exit": msgspec.structs.replace(raw, head=head, kicked=KICKED)})
    return answer

KICKED = os.environ["SCENARIO"].endswith(".control")
pipeline.decoded = altered
"""


@pytest.fixture
def run(bootable, tmp_path):
    """run(scenario, how often it is altered): the exit code, the verdicts, the incidents and the output of a run."""
    bootable("riscv64")

    def start(scenario, times):
        (tmp_path / "altering.py").write_text(PLUGIN)
        results = tmp_path / "results"
        words = ["-m", "pytest", "suites", "--offline", "-q", "-p", "altering", "-p", "no:cacheprovider"]
        ran = subprocess.run(
            [
                *(sys.executable, *words, "--target", "riscv64-tcg"),
                *("--results", results, "-k", "srst.shutdown.0x0]"),
            ],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            cwd=ROOT,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
                "ALTERED": str(times),
                "SCENARIO": scenario,
                "SYSEVENT_LOCKS": str(tmp_path / "locks"),
            },
        )
        written = list(run_log.read(results / "run.jsonl"))
        return (
            ran.returncode,
            [one for one in written if isinstance(one, records.Verdict)],
            [one for one in written if isinstance(one, records.Incident)],
            ran.stdout,
        )

    return start


def test_a_failure_in_every_guest(run):
    """FAIL, seen in two guests, the second of them booted."""
    code, (verdict,), incidents, out = run(SCENARIO, 99)
    assert (code, verdict.status, verdict.confirmed, incidents) == (1, "FAIL", 2, []), out
    assert "riscv64-tcg/confirmation: booting Linux" in out


def test_a_failure_in_one_guest(run):
    """MISS, with the byte that differs."""
    code, (verdict,), (incident,), out = run(SCENARIO, 1)
    assert (code, verdict.status) == (1, "MISS"), out
    assert "ndata: got 5, expected 1), in another guest PASS: bytes 36..36" in verdict.reason
    assert incident.target == "riscv64-tcg"


def test_an_ill_guest(run):
    """The next one is booted, and judged."""
    code, (verdict,), (incident,), out = run("riscv64.control", 1)
    assert (code, verdict.status) == (0, "PASS"), out
    assert "the guest is ill, it failed its control before any other scenario" in incident.reason


def test_two_ill_guests(run):
    """Nothing is known about the kernel."""
    code, (verdict,), incidents, out = run("riscv64.control", 99)
    assert (code, verdict.status, len(incidents)) == (1, "MISS", 2), out
    assert "the guest is ill" in verdict.reason
