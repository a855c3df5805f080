"""Every rule is documented, and can be followed and broken: a kernel that breaks it is noticed."""

import msgspec
import pytest
from conformance.model_kernels import FACTS, changed

from sysevent.abi import kvm_run
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.judge import judge
from sysevent.conformance.simulation import observation
from sysevent.explore import corpus
from sysevent.explore.corpus_file import reached
from sysevent.model import Answer

MODELS = {arch: contract_of(FACTS[arch]) for arch, contract_of in CONTRACTS.items()}
SEQUENCES = corpus.read(corpus.COMMON)
RULES = [rule for contract in MODELS.values() for rule in contract.rules]


def of(arch):
    """Return the common sequences of an architecture."""
    return [sequence for sequence in SEQUENCES if sequence.arch == arch]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.claim)
def test_rule(rule):
    """A rule is a sentence with a source in the kernel, and a common sequence follows it."""
    assert rule.says.endswith(".")
    assert ".c" in rule.source or ".rst" in rule.source or ".h" in rule.source
    contract = MODELS[rule.arch]
    assert any(rule in reached(contract, sequence) for sequence in of(rule.arch))


@pytest.mark.parametrize("arch", CONTRACTS)
def test_a_kernel_that_follows_the_model_agrees(arch):
    for sequence in of(arch):
        found = judge(MODELS[arch], sequence, observation(MODELS[arch], sequence))
        assert found.disagreement is None
        assert found.actions == len(sequence.actions)


def _broken_exits(raw):
    """Yield an exit with one thing in it changed."""
    yield "ret", msgspec.structs.replace(raw, ret=0 if raw.ret else -1, errno=0 if raw.errno else 4)
    yield "reason", changed(raw, 8, bytes([raw.head[8] ^ 1]))
    yield "flags", changed(raw, 14, bytes([raw.head[14] ^ 1]))
    for at in (32, 36, 40, 48, 167, 168, 287):
        yield f"byte {at}", changed(raw, at, bytes([raw.head[at] ^ 1]))
    yield "bytes behind the union", changed(raw, 288, b"\1")
    yield "tail", msgspec.structs.replace(raw, tail_changed=1)


@pytest.mark.parametrize("arch", CONTRACTS)
def test_every_part_of_an_exit_counts(arch):
    contract = MODELS[arch]
    for sequence in of(arch):
        seen = observation(contract, sequence)
        for label, raw in seen.exits.items():
            for what, wrong in _broken_exits(raw):
                other = msgspec.structs.replace(seen, exits=seen.exits | {label: wrong})
                assert judge(contract, sequence, other).disagreement, (what, label, sequence)


@pytest.mark.parametrize("arch", CONTRACTS)
def test_every_register_counts(arch):
    """A register that the model knows must have its value: all of them, but after a triple fault or in the void."""
    contract = MODELS[arch]
    noticed = 0
    for sequence in of(arch):
        seen = observation(contract, sequence)
        for label, raw in seen.exits.items():
            for number, value in enumerate(raw.registers):
                registers = (*raw.registers[:number], value ^ 2, *raw.registers[number + 1 :])
                wrong = msgspec.structs.replace(raw, registers=registers)
                other = msgspec.structs.replace(seen, exits=seen.exits | {label: wrong})
                noticed += judge(contract, sequence, other).disagreement is not None
    assert noticed > 100


@pytest.mark.parametrize("arch", CONTRACTS)
def test_every_answer_counts(arch):
    contract = MODELS[arch]
    for sequence in of(arch):
        seen = observation(contract, sequence)
        for label, answer in seen.answers.items():
            refused = Answer(-1, 22 if answer.errno != 22 else 1, answer.data)
            other = msgspec.structs.replace(seen, answers=seen.answers | {label: refused})
            assert judge(contract, sequence, other).disagreement, (label, sequence)


@pytest.mark.parametrize("arch", CONTRACTS)
def test_what_is_absent_is_a_disagreement(arch):
    contract, sequence = MODELS[arch], of(arch)[0]
    nothing = msgspec.structs.replace(observation(contract, sequence), exits={}, answers={})
    assert judge(contract, sequence, nothing).disagreement.mismatches[0].got == "none was recorded"


def test_a_kernel_without_what_the_model_knows_is_not_judged():
    for arch, contract_of in CONTRACTS.items():
        assert contract_of.fits(FACTS[arch]) == ""
        assert "begins with" in contract_of.fits(msgspec.structs.replace(FACTS[arch], capabilities={}))
    assert kvm_run.UNION == (32, 288)
