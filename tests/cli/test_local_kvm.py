"""The doctor's trial of this machine's KVM, with KVMs that are broken in the ways that were met."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sysevent import settings
from sysevent.arches import ARCHITECTURES
from sysevent.cli import doctor, local_kvm
from sysevent.cli.local_kvm import Answer
from sysevent.errors import HarnessError, NoKvm, VcpuStuck
from sysevent.report import recorded, run_log
from sysevent.targets.spec import TargetSpec

RECORDING = Path(__file__).parent.parent / "data" / "runs" / "debian-6.12.jsonl"


class Guest:
    """Answers everything but what BROKEN names."""

    broken = None  # family: an error, or "kicked"
    without = ()  # capabilities that are 0
    asked = None

    def __init__(self, spec, *_):
        self.arch = ARCHITECTURES[spec.arch]
        self.life = SimpleNamespace(hopeless=False)
        self.closed = False

    def facts(self):
        if "facts" in self.broken:
            raise self.broken["facts"]
        records = run_log.read(RECORDING)
        record = next(r for r in records if r["record"] == "target" and r["arch"] == "x86_64")
        record["capabilities"] |= dict.fromkeys(self.without, 0)
        return recorded.read_facts(record)

    def observe(self, name, abi):
        self.asked.append(name)
        how = self.broken.get(name.split(".")[1])
        if isinstance(how, Exception):
            raise how
        return SimpleNamespace(exits={"exit": SimpleNamespace(kicked=how == "kicked")})

    def close(self):
        pass


@pytest.fixture
def kvm(monkeypatch):
    """Tries a KVM that is broken like this."""
    monkeypatch.setattr(local_kvm, "Guest", Guest)
    monkeypatch.setattr(local_kvm.targets, "own_arch", lambda: "x86_64")
    monkeypatch.setattr(
        local_kvm.targets, "builtin", lambda: [TargetSpec(name="local", arch="x86_64", where="local")]
    )

    def trial(without=(), **broken):
        Guest.broken, Guest.without, Guest.asked = broken, without, []
        return local_kvm.trial(settings.from_environment())

    return trial


def answers(trial):
    return {family.family: family.answer for family in trial.tried}


def test_a_good_one(kvm):
    found = kvm()
    assert (found.refused, found.release) == ("", "6.12.107+deb13-cloud-amd64")
    assert set(answers(found).values()) == {Answer.ANSWERS}
    assert found.answered == found.scenarios > 30
    assert len(Guest.asked) == len(found.tried)


def test_one_that_hangs_in_a_triple_fault(kvm):
    found = kvm(triple_fault=VcpuStuck("triple_fault: the VMM gave no answer"))
    assert answers(found)["triple_fault"] is Answer.HANGS
    assert answers(found)["hyperv"] is Answer.ANSWERS
    assert found.answered < found.scenarios


def test_one_that_needs_a_signal(kvm):
    """A KVM_RUN that only the watchdog ends is no answer, though bytes came back."""
    assert answers(kvm(hyperv="kicked"))["hyperv"] is Answer.HANGS


def test_one_that_refuses(kvm):
    (refusing,) = [
        f for f in kvm(peers=HarnessError("peers: EINVAL")).tried if f.answer is not Answer.ANSWERS
    ]
    assert (refusing.family, refusing.answer, refusing.told) == ("peers", Answer.REFUSES, "peers: EINVAL")


def test_nobody_waits_for_a_third_one_that_hangs(kvm):
    stuck = VcpuStuck("stuck")
    found = kvm(hyperv=stuck, triple_fault=stuck, peers=stuck, reentry=stuck)
    told = list(answers(found).values())
    assert told.count(Answer.HANGS) == 2
    assert told.count(Answer.UNTRIED) > 2


def test_what_it_lacks_is_not_asked(kvm):
    found = kvm(without=("system/44", "vm/44", "system/199", "vm/199"))
    assert "hyperv" not in answers(found)
    assert any("CONFIG_KVM_HYPERV" in reason for reason in found.lacks)


def test_none(kvm):
    found = kvm(facts=NoKvm("/dev/kvm: permission denied: join group kvm"))
    assert (found.refused, found.tried) == ("/dev/kvm: permission denied: join group kvm", ())


def test_no_target_for_this_machine(monkeypatch):
    monkeypatch.setattr(local_kvm.targets, "builtin", list)
    assert "arm64, riscv64, x86_64" in local_kvm.trial(settings.from_environment()).refused


def test_what_the_doctor_says(kvm, monkeypatch):
    """It is never needed, and what hangs has a line of its own."""
    bad = kvm(triple_fault=VcpuStuck("stuck"))
    monkeypatch.setattr(local_kvm, "trial", lambda *_: bad)
    first, *others = doctor.local_kvm(settings.from_environment())
    assert first.ok
    assert f"{bad.answered} of our {bad.known} scenarios can be asked" in first.found
    assert "does not offer" not in first.found
    assert any("hangs" in finding.found and "triple_fault" in finding.subject for finding in others)
    assert not any(finding.needed for finding in (first, *others))


def test_the_doctor_counts_all_our_scenarios(kvm, monkeypatch):
    """Of a KVM that lacks nearly everything it must not say that all can be asked."""
    poor = kvm(without=("system/44", "vm/44", "system/199", "vm/199"))
    monkeypatch.setattr(local_kvm, "trial", lambda *_: poor)
    first, *_ = doctor.local_kvm(settings.from_environment())
    assert poor.known > poor.scenarios
    assert f"{poor.answered} of our {poor.known} scenarios can be asked" in first.found
    assert f"{poor.known - poor.scenarios} are about what it does not offer" in first.found


def test_qemu_under_kvm(monkeypatch):
    """Not needed either; what QEMU said when it gave up is shown."""
    arch = doctor.ARCHITECTURES["x86_64"]
    monkeypatch.setattr(doctor.accel, "kvm_obstacle", lambda arch: "gives up with signal 6: kvm.c")
    broken = doctor.accelerated(arch)
    assert (broken.ok, broken.needed, broken.found) == (False, False, "gives up with signal 6: kvm.c")
    monkeypatch.setattr(doctor.accel, "kvm_obstacle", lambda arch: "")
    assert doctor.accelerated(arch).ok


def test_what_sigkill_does_not_end_is_told(kvm, monkeypatch):
    """The host says so to who waits: that must be somebody."""
    heard = []

    class Kept(Guest):
        def __init__(self, spec, settings, logs, progress, *rest):
            super().__init__(spec, settings, logs, progress, *rest)
            self.progress = progress

        def close(self):
            self.progress("local: 4711 did not die of SIGKILL within 10 s")

    kvm()
    monkeypatch.setattr(local_kvm, "Guest", Kept)
    local_kvm.trial(settings.from_environment(), heard.append)
    assert heard == ["local: 4711 did not die of SIGKILL within 10 s"]
