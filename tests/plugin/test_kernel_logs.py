"""The evidence of the claim about the kernel's log: every scenario of the target is asked, whatever comes of it."""

from types import SimpleNamespace

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.contract import catalogue
from sysevent.contract.terms import Terms
from sysevent.engine.question import Key
from sysevent.errors import GuestLost, HarnessError, NotApplicable, VcpuStuck
from sysevent.model import KernelLog, Status
from sysevent.plugin import kernel_logs

SPLAT = (
    "[ cut here ]",
    "WARNING: CPU: 0 PID: 7 at arch/x86/kvm/x86.c:1 kvm_vcpu_reset+0x1/0x2",
    "---[ end trace",
)
QUIET = KernelLog(taint=(0, 0))


class Guest:
    """A target with recorded facts whose answers are errors where a test says so."""

    def __init__(self, facts, arch="x86_64", *, errors=None, logs=None, booted=True):
        self.spec = SimpleNamespace(booted=booted)
        self.arch = ARCHITECTURES[arch]
        self.restarts = SimpleNamespace(kernel_logs=SimpleNamespace(entries=[]))
        self.asked = []
        self._facts, self._errors, self._logs = facts, errors or {}, logs or {}

    def facts(self):
        return self._facts

    def observe(self, scenario, abi):
        self.asked.append((scenario.name, abi))
        self.restarts.kernel_logs.entries.append(
            (Key(scenario.name, abi), self._logs.get(scenario.name, QUIET))
        )
        if scenario.name in self._errors:
            raise self._errors[scenario.name]


@pytest.fixture
def facts(recording):
    return recording("debian-6.12").facts


def gather(guest, abi):
    claim = catalogue.load().claim(f"{guest.arch.name}.kernel.log")
    found = kernel_logs.gather(claim, abi, guest, Terms())
    return found, claim.judge(found)


def test_every_scenario_of_the_abi_is_asked(facts):
    """All that the other claims need on that target: each claim's scenario, and none of another architecture."""
    guest = Guest(facts["x86_64-tcg"])
    found, verdict = gather(guest, "i386")
    assert verdict.status is Status.PASS
    assert {abi for _, abi in guest.asked} == {"i386"}
    assert {one.scenario for one in found.logs} == {name for name, _ in guest.asked}
    assert len(found.logs) > 40


def test_scenarios_of_a_program_that_cannot_use_kvm(facts):
    """The claim about 32-bit programs on arm64 has a VMM of its own, whose log counts as well."""
    found, _ = gather(Guest(facts["arm64-tcg"], "arm64"), "arm64")
    assert {one.abi for one in found.logs} == {"arm64", "arm"}


def test_logs_of_another_abi_belong_to_that_one(facts):
    guest = Guest(facts["x86_64-tcg"])
    guest.restarts.kernel_logs.entries.append(
        (Key("x86_64.facts", "x86_64"), KernelLog(lines=SPLAT, taint=(0, 512)))
    )
    assert gather(guest, "i386")[1].status is Status.DONE
    assert gather(guest, "x86_64")[1].status is Status.FAIL


@pytest.mark.parametrize(
    "error", [VcpuStuck("x"), HarnessError("x"), NotApplicable("x")], ids=lambda e: type(e).__name__
)
def test_a_scenario_without_an_answer(facts, error):
    """Its log is there all the same."""
    logs = {"x86_64.triple_fault": KernelLog(lines=SPLAT, taint=(0, 512))}
    guest = Guest(facts["x86_64-tcg"], errors={"x86_64.triple_fault": error}, logs=logs)
    assert gather(guest, "x86_64")[1].status is Status.FAIL


def test_a_lost_guest(facts):
    """No claim about all scenarios can be made, unless another one made KVM warn."""
    errors = {"x86_64.triple_fault": GuestLost("panic")}
    with pytest.raises(GuestLost, match="panic"):
        gather(Guest(facts["x86_64-tcg"], errors=errors), "x86_64")
    logs = {"x86_64.hyperv.reset": KernelLog(lines=SPLAT, taint=(0, 512))}
    assert gather(Guest(facts["x86_64-tcg"], errors=errors, logs=logs), "x86_64")[1].status is Status.FAIL


def test_a_machine_that_others_use(facts):
    """Messages from between two scenarios are not counted there."""
    logs = {"x86_64.hyperv.reset": KernelLog(before=SPLAT, taint=(512, 512))}
    assert gather(Guest(facts["x86_64-tcg"], logs=logs, booted=False), "x86_64")[1].status is Status.PASS
    assert gather(Guest(facts["x86_64-tcg"], logs=logs), "x86_64")[1].status is Status.FAIL


def test_why_the_log_is_not_read(facts):
    """The record of the target says it."""
    guest = Guest(facts["x86_64-tcg"])
    assert kernel_logs.unreadable(guest) == ""
    guest.restarts.kernel_logs.entries.append((Key("x86_64.facts", "x86_64"), KernelLog(log_errno=1)))
    assert kernel_logs.unreadable(guest) == "/dev/kmsg: errno 1 (EPERM)"
