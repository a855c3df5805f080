"""An exploration finds, shrinks and confirms what a kernel does against the model."""

import itertools
import math

import msgspec
from conformance.model_kernels import FACTS, ModelKernel, changed

from sysevent.conformance.contract import Configuration
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.scenario import label, scenario
from sysevent.errors import GuestLost
from sysevent.explore import generate, validity
from sysevent.explore.session import Limits, Session
from sysevent.model import KernelLog

WARNING = (
    "------------[ cut here ]------------",
    "WARNING: CPU: 0 PID: 1 at arch/arm64/kvm/psci.c:200 kvm_psci_call+0x10/0x20",
    "Call trace:",
    " kvm_psci_call+0x10/0x20",
    "---[ end trace 0000000000000000 ]---",
)


def explore(arch, fault=None, *, second_fault=None, most=240, seed=1, first=(), stream=None):
    """Explore a kernel that follows the model, with a fault in each of its guests, or another one in the second.

    stream: in place of that of the first guest.
    """
    contract = CONTRACTS[arch](FACTS[arch])
    guests, known = [], {}

    def remembered(of, sequence):
        asked = scenario(of, sequence)
        known[asked.name] = sequence
        return asked

    def boots(name, *, fresh):
        guests.append(ModelKernel(contract, FACTS[arch], known, (second_fault or fault) if fresh else fault))
        if stream and len(guests) == 1:
            guests[0].stream = stream
        return guests[-1]

    limits, silent = Limits(math.inf, most), lambda _line: None
    session = Session(boots, limits, seed, silent, scenario_of=remembered, shrinking=math.inf)
    session.open()
    report = session.run(contract, first)
    session.close()
    return contract, report


def test_a_kernel_that_follows_the_model_has_no_finding():
    """As many sequences are asked as --max-examples says, and their calls and rules are counted."""
    for arch in CONTRACTS:
        contract, report = explore(arch, most=24)
        assert report.findings == []
        assert report.unrepeated == {}
        assert report.sequences == 24
        assert report.runs > 40
        assert len(report.rules) > 0.3 * len(contract.rules)


def three_in_order(sequence, seen):
    """A vCPU that was SUSPENDED, and then made RUNNABLE, writes a wrong datum at its next system event."""
    progress = {}
    for number, action in enumerate(sequence.actions):
        reached = progress.get(action.vcpu, 0)
        if action.kind == "set_state" and action.values == ((10,), (0,), None)[reached]:
            progress[action.vcpu] = reached + 1
        raw = seen.exits.get(label(number, action))
        if reached == 2 and raw is not None and raw.head[8] == 24 and raw.head[36]:
            wrong = changed(raw, 40, b"\5")
            return msgspec.structs.replace(seen, exits=seen.exits | {label(number, action): wrong})
    return seen


def test_a_fault_that_needs_three_actions_in_order_is_shrunk_to_them():
    _, report = explore("arm64", three_in_order, most=64, seed=105)
    finding = report.findings[0]
    first, second, third = finding.sequence.actions
    assert (first.kind, first.values) == ("set_state", (10,))
    assert (second.kind, second.values) == ("set_state", (0,))
    assert third.kind == "call"
    assert first.vcpu == second.vcpu == third.vcpu
    assert finding.disagreement.number == 2
    assert finding.disagreement.mismatches[0].got == "0x5"
    assert finding.confirmed


def sound(_sequence, seen):
    """No fault."""
    return seen


def wrong_pc(sequence, seen):
    """The first exit has another program counter."""
    for where, raw in seen.exits.items():
        registers = (raw.registers[0] + 4, *raw.registers[1:])
        return msgspec.structs.replace(
            seen, exits=seen.exits | {where: msgspec.structs.replace(raw, registers=registers)}
        )
    return seen


def test_a_fault_of_one_guest_is_no_finding():
    _, report = explore("riscv64", wrong_pc, second_fault=sound, most=40)
    assert report.findings == []
    assert report.unrepeated


def test_each_rule_is_shrunk_once():
    _, report = explore("riscv64", wrong_pc, most=6)
    rules = [finding.disagreement.rule for finding in report.findings]
    assert len(rules) == len(set(rules))
    assert all(len(finding.sequence.actions) <= 3 for finding in report.findings)


def test_a_warning_of_kvm_is_a_finding():
    def warns(sequence, seen):
        if any(action.kind == "init" for action in sequence.actions):
            return msgspec.structs.replace(seen, log=KernelLog(lines=WARNING))
        return seen

    _, report = explore("arm64", warns, most=24)
    (finding,) = report.findings
    assert finding.disagreement.rule.name == "kernel.log"
    assert "init" in [action.kind for action in finding.sequence.actions]


def test_a_lost_guest_is_no_finding_and_another_one_is_asked():
    def lose(scenarios):
        next(iter(scenarios))
        raise GuestLost("the guest has panicked")
        yield

    _, report = explore("x86_64", most=20, stream=lose)
    assert report.findings == []
    ((reason, sequence),) = report.losses
    assert "panicked" in reason
    assert sequence is not None
    assert report.sequences == 20


def test_the_same_seed_asks_the_same():
    contract = CONTRACTS["arm64"](FACTS["arm64"])
    drawn = [
        [scenario(contract, one).name for one in itertools.islice(generate.batch(contract, seed, 20), 20)]
        for seed in (7, 7, 8)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert Action("run").enters


def test_an_interrupted_exploration_reports_what_it_has():
    def interrupted(scenarios):
        raise KeyboardInterrupt
        yield

    _, report = explore("arm64", stream=interrupted)
    assert report.interrupted
    assert report.sequences == 0


def test_only_sequences_of_the_model_are_asked():
    """A file can have anything."""
    contract = CONTRACTS["arm64"](FACTS["arm64"])
    one = Configuration(1)
    for made, *actions in (
        (Configuration(9), Action("run")),
        (one, Action("run", 1)),
        (one, Action("dance")),
        (one, Action("set_state", 0, ())),
        (one, Action("set_state", 0, (1 << 40,))),
        (one, Action("call")),
        (one, Action("call", 0, (0,) * 17)),
        (one, Action("wait")),
        # It goes on where a call came back, and none has been made.
        (one, Action("next", 0, (1, 2))),
        (one, Action("run", 0, (), Mode.ASYNC)),
        (one, Action("run", 0, (), Mode.ASYNC), Action("run"), Action("wait")),
    ):
        assert not validity.valid(contract, Sequence("arm64", made, tuple(actions))), actions
    assert not validity.valid(contract, Sequence("riscv64", one, (Action("run"),)))
    assert validity.valid(contract, Sequence("arm64", one, (Action("call", 0, (1, 2)), Action("run"))))
    assert all(validity.valid(contract, sequence) for sequence in generate.batch(contract, 3, 40))
