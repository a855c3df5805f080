"""Runs that share a machine and a lab with others."""

import threading
import time

import pytest

from sysevent.errors import LeaseLost, NotLeased
from sysevent.plugin.leased import Leased
from sysevent.targets.leases.locks import Locks
from sysevent.targets.spec import TargetSpec

LAB = """
[[target]]
name = "rpi5"
arch = "arm64"
where = "ssh"
address = "rpi5.lab"
lease = 1
require = true

[[target]]
name = "rpi6"
arch = "arm64"
where = "ssh"
address = "rpi6.lab"
lease = 1

[[target]]
name = "gone"
arch = "arm64"
where = "ssh"
address = "gone.lab"
"""
ONE = ["-k", "test_arm64 and off and not written"]
SLOTS = 256  # more than any machine that this runs on has cores


def release(slots, log):
    """Give the slots back when a run has waited for them: it makes its log just before it wants one."""
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    for slot in slots:
        slot.release()


@pytest.fixture(scope="module")
def run(runs, tmp_path_factory):
    """run(name): one of these runs."""
    lab = tmp_path_factory.mktemp("lab") / "lab.toml"
    lab.write_text(LAB)
    ssh = [f"--targets={lab}", "--target"]

    held = Locks(runs.locks("taken")).take("host-rpi5.lab", {})
    runs.start("taken", *ssh, "rpi*", *ONE)

    slots = [Locks(runs.locks("slots")).take(f"slot-{number}", {}) for number in range(SLOTS)]
    runs.start("slots", "--arch", "arm64", *ONE)
    log = runs.locks("slots").with_name("results-slots") / "run.jsonl"
    threading.Thread(target=release, args=(slots, log), daemon=True).start()

    runs.start(
        "lost",
        *ssh,
        "gone",
        "-k",
        "test_arm64",
        lost="arm64.psci.reset",
        breaks={"arm64.psci.reset": "type"},
    )
    runs.start("free", *ssh, "rpi*", *ONE)
    runs.start("kernel", *ssh, "rpi*", "--kernel", "debian:6.1")
    yield lambda name: runs[name]
    held.release()


def test_a_host_that_another_run_has_is_missed(run):
    """The others are asked, and a row's own `require` fails the run."""
    found = run("taken")
    assert found.code == 1
    assert {(v["target"], v["status"]) for v in found.records("verdict")} == {
        ("rpi5", "MISS"),
        ("rpi6", "PASS"),
    }
    (missed,) = [v for v in found.records("verdict") if v["status"] == "MISS"]
    assert "rpi5: it is not free within 1 s (`lease` in the target file): pid " in missed["reason"]
    (incident,) = found.records("incident")
    assert incident["reason"] == missed["reason"]
    assert "rpi5: waiting up to 1 s, it is not free: pid " in found.out


def test_a_slot_is_waited_for_and_that_is_told(run):
    found = run("slots")
    assert found.code == 0, found.out
    (incident,) = found.records("incident")
    assert "arm64-tcg: leased after waiting" in incident["reason"]
    assert "no slot for a guest on this machine is free" in found.out


def test_hosts_that_nobody_has_are_no_incident(run):
    assert run("free").code == 0
    assert run("free").records("incident") == []


def test_a_lost_lease_is_never_a_verdict(run):
    """The test in which it was lost is no FAIL, though the answer was wrong; those behind it ask nothing."""
    found = run("lost")
    assert found.code == 1
    verdicts = {v["nodeid"].partition("::")[2]: v for v in found.records("verdict")}
    assert {name: v["status"] for name, v in verdicts.items()} == {
        "test_arm64[gone-psci.off]": "PASS",
        "test_arm64[gone-psci.off.written]": "MISS",
        "test_arm64[gone-psci.reset]": "MISS",
        "test_arm64[gone-psci.reset2]": "MISS",
    }
    assert {v["reason"] for v in verdicts.values() if v["status"] == "MISS"} == {"gone: taken away"}
    assert {r["scenario"] for r in found.records("observation")} == {"arm64.psci.off", "arm64.psci.reset"}


def test_machines_cannot_boot_a_kernel(run):
    """--kernel with nothing that boots one is a usage error, and no green run."""
    assert run("kernel").code == 4
    assert "cannot boot it, but is asked about the kernel that runs there" in run("kernel").out


class Place:
    """Of a labgrid that takes it away."""

    lost, waited = False, 0.0

    def __init__(self, spec):
        self.spec = spec
        self.released = 0

    def check(self):
        if self.lost:
            raise LeaseLost("taken away")

    def release(self):
        self.released += 1


class Taking:
    """Leases, of which only some are free."""

    def __init__(self, *, free):
        self.free, self.asked = free, 0

    def take(self, spec, progress):
        if not self.free:
            raise NotLeased("all taken")
        self.free -= 1
        return Place(spec)

    def try_take(self, spec):
        self.asked += 1
        return self.take(spec, None) if self.free else None


GUEST = TargetSpec(name="guest", arch="arm64", where="tcg")
RPI = TargetSpec(name="rpi", arch="arm64", where="ssh", address="rpi.lab")


@pytest.fixture
def leased():
    """leased(free): the leases of a run, of which that many are free; and its progress."""

    def make(free):
        told = []
        taking = Taking(free=free)
        found = Leased(
            taking,
            told.append,
            lambda incident: told.append(incident.reason),
            lambda spec: told.append(f"let alone: {spec.name}"),
        )
        return found, told, taking

    return make


def test_guests_ahead_of_their_turn_take_what_is_free(leased):
    """And look again only after a moment: the fleet asks many times a second."""
    found, told, taking = leased(1)
    other = TargetSpec(name="other", arch="arm64", where="tcg")
    assert found.try_take(GUEST)
    assert found.try_take(GUEST)
    assert not any(found.try_take(other) for _ in range(50))
    assert taking.asked == 2
    assert not found.try_take(RPI)
    found.release(GUEST)
    assert told == []


def test_a_lab_machine_is_never_taken_ahead_of_its_turn(leased):
    found, *_ = leased(9)
    assert not found.try_take(RPI)
    found.take(RPI)
    assert found.try_take(RPI)


def test_what_is_lost_stays_lost_and_is_told_once(leased):
    found, told, _ = leased(2)
    found.take(RPI)
    found.check(RPI)
    found._held["rpi"].lost = True
    for _ in range(3):
        with pytest.raises(LeaseLost, match="taken away"):
            found.check(RPI)
    assert told == ["taken away", "let alone: rpi"]
    found.release(RPI)
    found.take(RPI)
    found.check(RPI)


def test_what_cannot_be_had_is_told(leased):
    found, told, _ = leased(0)
    with pytest.raises(NotLeased):
        found.take(RPI)
    assert told == ["all taken"]
