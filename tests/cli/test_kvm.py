"""The doctor's look at this machine's KVM: every way in which one can be broken is named, and none holds it up."""

import os
import time
from pathlib import Path

import pytest

from sysevent import settings
from sysevent.cli import kvm
from sysevent.cli.kvm import Outcome, Way
from sysevent.contract import table
from sysevent.errors import GuestLost, HarnessError, NotApplicable, VcpuStuck
from sysevent.model import Facts, Observation, RawExit
from sysevent.targets.spec import own_arch

ALL = {"system/215": 1, "vm/215": 1, "vm/216": 1, "system/218": 1, "vm/218": 1, "vm/199": 1, "vm/44": 1}


def facts(**capabilities):
    return Facts("x86_64", "6.12.0", capabilities, {"hyperv.gated": 0})


def seen(name, *, kicked=(), labels=("exit",)):
    def raw(label):
        return RawExit(0, 0, label in kicked, 1, 0xAA, b"\0" * 320, 0, 0, ())

    return Observation(name, "x86_64", "x86_64", {label: raw(label) for label in labels}, {}, {})


def ways(observe, given=None, **options):
    found = kvm.asked("x86_64", given or facts(**ALL), observe, **options)
    return {outcome.scenario: outcome for outcome in found}


def test_a_sound_kvm():
    """Answers all that its facts promise; each scenario is there once, and each is one that a claim rests on."""
    found = ways(seen)
    assert list(found) == kvm.scenarios("x86_64")
    assert found["x86_64.triple_fault"].way is Way.ANSWERS
    assert not {o.way for o in found.values()} - {Way.ANSWERS, Way.ABSENT}
    claimed = {claim.scenario for claim in table.CLAIMS.values() if claim.arch == "x86_64"}
    assert set(found) == claimed


def test_one_without_hyperv():
    """Is not even asked what it does not offer, and nothing of that speaks against it."""
    asked = []

    def observe(name):
        asked.append(name)
        return seen(name)

    found = ways(observe, Facts("x86_64", "6.12.0", {}, {}))
    assert found["x86_64.hyperv.reset"].way is Way.ABSENT
    assert "Hyper-V" in found["x86_64.hyperv.reset"].why
    assert "x86_64.hyperv.reset" not in asked
    assert "x86_64.triple_fault" in asked


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (VcpuStuck("came back neither by itself nor for a signal"), Way.HANGS),
        (GuestLost("silent: no answer within 5 s\nwhat the VMM said"), Way.HANGS),
        (HarnessError("step 6, which must succeed, was refused: IOCTL gave errno 22 (EINVAL)"), Way.REFUSES),
        (NotApplicable("runs no programs of that ABI"), Way.ABSENT),
    ],
)
def test_what_can_go_wrong(error, way):
    """Each error of ours means something; the reason is its first line."""

    def observe(name):
        raise error

    found = kvm.one("x86_64.triple_fault", observe)
    assert (found.way, found.why) == (way, str(error).splitlines()[0])


def test_an_exit_that_took_a_signal():
    """Is a hang; one of a peer, which waits for the signal, is none."""
    hung = seen("x86_64.triple_fault", kicked=("exit",))
    assert kvm.one("x86_64.triple_fault", lambda name: hung).way is Way.HANGS
    peer = seen("x86_64.peers.reset.2", labels=("exit", "peer 1"), kicked=("peer 1",))
    assert kvm.one("x86_64.peers.reset.2", lambda name: peer).way is Way.ANSWERS


def test_a_hang_is_paid_for_once_in_a_family():
    """Others of that family are not tried, those of other families are."""
    asked = []

    def observe(name):
        asked.append(name)
        if name.startswith("x86_64.triple_fault"):
            raise VcpuStuck("hangs")
        return seen(name)

    found = ways(observe)
    rest = [name for name in found if name.startswith("x86_64.triple_fault.")]
    assert [name for name in asked if "triple_fault" in name and "sequence" not in name] == [
        "x86_64.triple_fault"
    ]
    assert {found[name].way for name in rest} <= {Way.UNASKED, Way.ABSENT}


def test_no_time_left():
    """Then nothing more is asked."""
    found = ways(lambda name: pytest.fail(f"{name} was asked"), budget=0)
    assert {o.way for o in found.values()} <= {Way.UNASKED, Way.ABSENT}


def test_told():
    """One line sums up, one for each reason; what hangs or is refused is not well."""
    outcomes = [
        Outcome("x86_64.a.1", Way.ANSWERS),
        Outcome("x86_64.a.2", Way.ANSWERS),
        Outcome("x86_64.b.1", Way.REFUSES, "x86_64.b.1: errno 22"),
        Outcome("x86_64.b.2", Way.REFUSES, "x86_64.b.2: errno 22"),
        Outcome("x86_64.c", Way.HANGS, "KVM_RUN does not come back"),
        Outcome("x86_64.d", Way.ABSENT, "no D"),
    ]
    first, *lines = kvm.told("x86_64", outcomes, 2.0)
    assert not first.ok
    assert first.found == (
        "2 of our 6 scenarios for x86_64 can be asked, 1 need what it does not offer, 2 refused, 1 hang; 2.0 s"
    )
    assert [(line.subject.strip(), line.ok, line.found) for line in lines] == [
        ("answers", True, "2 a"),
        ("does not offer", True, "1 d: no D"),
        ("refuses", False, "2 b: errno 22"),
        ("hangs", False, "1 c: KVM_RUN does not come back"),
    ]
    assert not any(finding.needed for finding in (first, *lines))
    assert next(kvm.told("x86_64", outcomes[:2], 2.0)).ok


def test_kvm_that_is_no_kvm(tmp_path):
    """Each step is named with what it answered; no VM is tried."""
    given = settings.from_environment()
    (missing,) = kvm.findings(given, print, tmp_path / "none")
    assert missing.found.startswith("open: No such file")
    (tmp_path / "file").touch()
    (finding,) = kvm.findings(given, print, tmp_path / "file")
    assert finding.found.startswith("KVM_GET_API_VERSION: ")
    assert not finding.ok


@pytest.mark.skipif(
    not own_arch() or not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="/dev/kvm cannot be opened here"
)
def test_this_machine(tmp_path, monkeypatch):
    """Whatever its KVM is: there is an answer within the deadline, and no process of ours is left."""
    monkeypatch.setenv("SYSEVENT_LOCKS", str(tmp_path / "locks"))
    begin = time.monotonic()
    found = list(kvm.findings(settings.from_environment(), print))
    assert time.monotonic() - begin < 2 * kvm._BUDGET
    assert not any(finding.needed for finding in found)
    assert len(found) == 1 or (found[1].subject, found[-1].subject) == ("VMs on /dev/kvm", "QEMU with KVM")
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "vmm" in Path(f"/proc/{pid}/cmdline").read_text()]
