"""The doctor's trial of this machine's KVM, with KVMs that are broken as some that were met."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from sysevent import settings
from sysevent.abi.capabilities import Capability
from sysevent.doctor import checks, local_kvm
from sysevent.doctor.local_kvm import Behaviour
from sysevent.errors import HarnessError, NoKvm, VcpuStuck
from sysevent.report import records, run_log
from sysevent.targets.spec import TargetSpec

RECORDING = Path(__file__).parent.parent / "data" / "runs" / "debian-6.12.jsonl"
LOCAL = TargetSpec(name="local", arch="x86_64", where="local")


class FakeKvm:
    """Answers every scenario, except those of the families in broken: by an error, or "kicked"."""

    def __init__(self, broken, without):
        self.broken = broken
        self.without = without
        self.asked = []
        self.closed = False

    def facts(self):
        if "facts" in self.broken:
            raise self.broken["facts"]
        target = next(
            one for one in run_log.read(RECORDING) if isinstance(one, records.Target) and one.arch == "x86_64"
        )
        facts = target.facts()
        # The recording is older than the question for SMM.
        known = facts.capabilities | {Capability.X86_SMM.on_vm: 1}
        return msgspec.structs.replace(facts, capabilities=known | dict.fromkeys(self.without, 0))

    def observe(self, scenario, abi):
        name = scenario.name
        self.asked.append(name)
        how = self.broken.get(name.split(".")[1])
        if isinstance(how, Exception):
            raise how
        return SimpleNamespace(exits={"exit": SimpleNamespace(kicked=how == "kicked")})

    def close(self):
        self.closed = True


def trial_of(kvm, progress=lambda line: None):
    return local_kvm.trial(LOCAL, settings.from_environment(), progress, opener=lambda *_: kvm)


def trial(without=(), **broken):
    """The trial of a KVM that lacks these capabilities and is broken in these families."""
    kvm = FakeKvm(broken, without)
    found = trial_of(kvm)
    assert kvm.closed
    return found


def behaviours(found):
    return {family.name: family.behaviour for family in found.families}


def test_working_kvm():
    kvm = FakeKvm({}, ())
    found = trial_of(kvm)
    assert (found.refused, found.release) == ("", "6.12.107+deb13-cloud-amd64")
    assert set(behaviours(found).values()) == {Behaviour.ANSWERS}
    assert found.answered == found.scenarios > 30
    assert len(kvm.asked) == len(found.families)


def test_hang_in_a_triple_fault():
    found = trial(triple_fault=VcpuStuck("triple_fault: the VMM gave no answer"))
    assert behaviours(found)["triple_fault"] is Behaviour.HANGS
    assert behaviours(found)["hyperv"] is Behaviour.ANSWERS
    assert found.answered < found.scenarios


def test_return_only_because_of_a_signal():
    """A KVM_RUN that only the watchdog ends is no answer, although there are bytes."""
    assert behaviours(trial(hyperv="kicked"))["hyperv"] is Behaviour.HANGS


def test_refused_ioctl():
    found = trial(peers=HarnessError("peers: EINVAL"))
    (refusing,) = [family for family in found.families if family.behaviour is not Behaviour.ANSWERS]
    assert (refusing.name, refusing.behaviour) == ("peers", Behaviour.REFUSES)
    assert refusing.reason == "peers: EINVAL"


def test_rest_is_not_tried_after_two_hangs():
    stuck = VcpuStuck("stuck")
    found = list(behaviours(trial(hyperv=stuck, triple_fault=stuck, peers=stuck, reentry=stuck)).values())
    assert found.count(Behaviour.HANGS) == 2
    assert found.count(Behaviour.UNTRIED) > 2


def test_missing_features_are_not_asked():
    found = trial(without=("system/44", "vm/44", "system/199", "vm/199"))
    assert "hyperv" not in behaviours(found)
    assert any("CONFIG_KVM_HYPERV" in reason for reason in found.left_out)


def test_no_kvm():
    found = trial(facts=NoKvm("/dev/kvm: permission denied: join group kvm"))
    assert (found.refused, found.families) == ("/dev/kvm: permission denied: join group kvm", ())


def test_other_architecture():
    assert "arm64, riscv64, x86_64" in local_kvm.trial(None, settings.from_environment(), pytest.fail).refused


def test_results_of_a_hang():
    """None is needed, and each family that hangs has a line of its own."""
    bad = trial(triple_fault=VcpuStuck("stuck"))
    first, *others = checks.kvm(bad)
    assert first.ok
    assert f"{bad.answered} of our {bad.known} scenarios can be asked" in first.found
    assert any("hangs" in result.found and "triple_fault" in result.subject for result in others)
    assert not any(result.needed for result in (first, *others))


def test_results_count_all_scenarios():
    """A KVM that lacks nearly every feature must not be reported as one that can be asked everything."""
    poor = trial(without=("system/44", "vm/44", "system/199", "vm/199"))
    first, *_ = checks.kvm(poor)
    assert poor.known > poor.scenarios
    assert f"{poor.answered} of our {poor.known} scenarios can be asked" in first.found
    assert f"{poor.known - poor.scenarios} need features that it does not have" in first.found


def test_process_that_sigkill_does_not_end_is_reported():
    """progress is handed to the target, which reports it."""
    heard = []

    def opener(target, mine, logs, progress):
        progress("local: 4711 did not die of SIGKILL within 10 s")
        return FakeKvm({}, ())

    local_kvm.trial(LOCAL, settings.from_environment(), heard.append, opener=opener)
    assert heard == ["local: 4711 did not die of SIGKILL within 10 s"]
