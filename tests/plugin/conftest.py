"""Whole pytest runs of a small suite, on guests that play recordings of real kernels."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from sysevent.report import run_log

RECORDINGS = Path(__file__).parents[1] / "data" / "runs"

SUITE = '''
import pytest

from sysevent.contract import catalogue
from sysevent.contract.claim import claims

def named(*names):
    return claims(*map(catalogue.load().claim, names))

@named("arm64.psci.off", "arm64.psci.reset", "arm64.psci.reset2", "arm64.psci.off.written").each
def test_arm64(check, claim):
    """A claim."""
    check(claim)

@named("x86_64.triple_fault", "x86_64.hyperv.reset").each
def test_x86_64(check, claim):
    check(claim)

@named("arm64.psci.off").each
def test_checks_nothing(check, claim):
    pass

@named("arm64.psci.off").each
def test_checks_another(check, claim):
    check(catalogue.load().claim("arm64.psci.reset"))

@named("arm64.psci.reset2.vendor").each
def test_checks_twice(check, claim):
    check(claim)
    check(claim)

@named("arm64.psci.reset2_64").each
def test_hides_a_failure(check, claim):
    with pytest.raises(AssertionError):
        check(claim)

@named("arm64.psci.reset2.vendor").each
def test_fails_by_itself(check, claim):
    check(claim)
    assert False, "something else"

def test_asks_no_kernel():
    pass
'''

CONFTEST = '''
import msgspec, json, os, shutil, signal, time
from pathlib import Path
from types import SimpleNamespace

from sysevent import errors
from sysevent.arches import ARCHITECTURES
from sysevent.engine.stage import Stage
from sysevent.model import KernelIdentity, Proof
from sysevent.plugin import early, leased, run
from sysevent.report import records, run_log

pytest_plugins = ["sysevent.plugin"]
PLAN = json.loads(os.environ["PLAN"])
FACTS, SEEN = {}, {}
for record in run_log.read(Path(PLAN["recording"])):
    if isinstance(record, records.Target):
        FACTS[record.name] = record.facts()
    else:
        found = record.seen()
        SEEN[record.target, found.scenario, found.abi] = found


class Asker:
    """Answers from a recording, and breaks what PLAN["breaks"] names; what "once" names in the first guest only.

    "values": the types of the event, by scenario, one for each time that it is asked; 0 for the recorded one.
    """

    def __init__(self, spec, opener, settings, logs, listeners, **options):
        self.spec, self.arch = spec, ARCHITECTURES[spec.arch]
        self.kernel = SimpleNamespace(version="1-1", release="", spec=spec.kernel)
        self.restarts = SimpleNamespace(
            origin="boot",
            traits={"qemu": "7.2.22"},
            session=None,
            seconds_to_boot=1.25,
            kernel_logs=SimpleNamespace(entries=[]),
            try_snapshot=lambda within: None,
        )
        self.stage = Stage("asking", 1, 2)
        self._told = listeners.observation
        # The second guest of a target has no plan.
        self._plan = None
        self._closed = False

    def foresee(self, plan, **_):
        self._plan = plan

    def facts(self):
        why = PLAN.get("facts" if self._plan else "second", {}).get(self.spec.name.partition("/")[0])
        if why and why != "lacking":
            raise getattr(errors, why)(f"{self.spec.name}: {why} with its reason\\nand a console")
        identity = KernelIdentity("ab" * 20, {}, Proof.PROVEN)
        found = msgspec.structs.replace(FACTS[f"{self.spec.arch}-tcg"], identity=identity)
        if why:
            found = msgspec.structs.replace(found, features={})
        if self._plan:
            PLANNED.update(question.scenario.name for question in self._plan(found))
        return found

    def observe(self, scenario, abi):
        name = scenario.name
        assert name in PLANNED
        assert not self._closed
        how = PLAN.get("breaks", {}).get(name) or (self._plan and PLAN.get("once", {}).get(name))
        if how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "removes":
            how = shutil.rmtree(PLAN["removed"])
        if how == "waits":
            Path(PLAN["begun"]).touch()
            time.sleep(60)
        values = PLAN.get("values", {}).get(name)
        if values:
            how = "type" if values[0] else None
        if how and how not in ("type", "beyond"):
            raise getattr(errors, how, ValueError)(f"{how} in {name}\\nand a console")
        seen = SEEN[f"{self.spec.arch}-tcg", name, abi]
        if how:
            raw = seen.exits["exit"]
            at = 32 if how == "type" else 200
            # Each time the next of the values that the test names.
            value = values.pop(0) if values else 7
            head = raw.head[:at] + bytes([value]) + raw.head[at + 1:]
            exits = seen.exits | {"exit": msgspec.structs.replace(raw, head=head)}
            seen = msgspec.structs.replace(seen, exits=exits)
        ASKED.append(name)
        self._told(self.spec.id, seen)
        return seen

    def awaits(self, scenario=None, abi=""):
        """Whether this test would wait: those of PLAN["late"] do until so many questions have been asked."""
        return len(ASKED) < PLAN.get("late", {}).get(self.spec.name, 0)

    def forget(self, scenario, abi):
        """Nothing is remembered."""

    def seconds(self, scenario, abi):
        return 0.5

    def close(self):
        self._closed = True


class Scheduler:
    """Guests need not be started."""

    def __init__(self, *_, **__):
        pass

    begin = attend = reorder = start_prepared = require = add_second = end_all = close = __init__

    def release(self, guest):
        guest.close()


def check(self, spec):
    if PLAN.get("lost") in ASKED:
        raise errors.LeaseLost(f"{spec.id}: taken away")


ASKED, PLANNED = [], set()
if "suites" in PLAN:
    early.SUITES = Path(PLAN["suites"])
run.Asker, run.Scheduler = Asker, Scheduler
if "lost" in PLAN:
    leased.Leased.check = check
'''


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    code: int
    out: str
    results: Path

    def records(self, kind):
        """The records of a kind, as any reader of JSON sees them; all of them are valid."""
        written = run_log.read(self.results / "run.jsonl")
        everything = (json.loads(msgspec.json.encode(record)) for record in written)
        return [record for record in everything if record["record"] == kind]

    def statuses(self):
        """Of each claim on each target, by test function."""
        return {record["nodeid"].partition("::")[2]: record["status"] for record in self.records("verdict")}


class Runs:
    """Each is started at once and awaited when it is looked at, since each takes most of a second."""

    ran = Ran

    def __init__(self, folder):
        self.folder = folder
        self._started = {}
        (folder / "bin").mkdir()
        for name in ("aarch64", "riscv64", "x86_64"):
            stub = folder / "bin" / f"qemu-system-{name}"
            stub.write_text("#!/bin/sh\necho 'QEMU emulator version 7.2.22'\n")
            stub.chmod(0o755)
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib --strict-markers\n")
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_suite.py").write_text(SUITE)

    def locks(self, name):
        """Where a run looks for what others have: not where the others of these do, which run at once."""
        return self.folder / f"locks-{name}"

    def environment(self, name, recording="debian-6.1", **plan):
        """What makes the guests of a run play a recording."""
        path = RECORDINGS / f"{recording}.jsonl"
        return {
            "PLAN": json.dumps({"recording": str(path), **plan}),
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "SYSEVENT_LOCKS": str(self.locks(name)),
        }

    def command(self, name, *arguments, recording="debian-6.1", **plan):
        """The words of a command, and its environment."""
        env = os.environ | self.environment(name, recording, **plan)
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-rA",
            "--results",
            self.results(name),
        ]
        return list(map(str, [*words, *arguments])), env

    def results(self, name):
        return self.folder / f"results-{name}"

    def start(self, name, *arguments, **plan):
        command, env = self.command(name, *arguments, **plan)
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A process group of its own, as a terminal gives it.
            start_new_session=True,
        )
        self._started[name] = (process, self.results(name))
        return process

    def __getitem__(self, name):
        found = self._started[name]
        if not isinstance(found, Ran):
            process, results = found
            out, _ = process.communicate(timeout=120)
            found = self._started[name] = Ran(process.returncode, out, results)
        return found

    def close(self):
        for found in self._started.values():
            if not isinstance(found, Ran):
                found[0].kill()
                found[0].communicate()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    found = Runs(tmp_path_factory.mktemp("suite"))
    yield found
    found.close()
