"""No row of the contract contradicts the model: what real kernels gave for the claims' scenarios is what it allows.

Only scenarios in the language of the model are compared: its payloads, its machines, and ioctls that it knows.
"""

from collections import Counter

import msgspec
import pytest
from conformance.translation import Unknown, translated

from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.judge import judge
from sysevent.conformance.scenario import label
from sysevent.contract import catalogue
from sysevent.model import Answer

# By recording and target: recorded scenarios that are compared, at least. The model does not describe Linux 5.10.
LEAST = {
    ("debian-6.1", "arm64-tcg"): 47,
    ("debian-6.1", "x86_64-tcg"): 18,
    ("debian-6.12", "arm64-tcg"): 49,
    ("debian-6.12", "riscv64-tcg"): 26,
    ("debian-6.12", "x86_64-tcg"): 18,
    ("debian-6.12-arm64", "arm64-tcg"): 8,
    ("debian-6.12-irqchips", "arm64-tcg"): 8,
    ("debian-6.12-irqchips", "riscv64-tcg"): 3,
    ("debian-6.12-x86_64", "x86_64-tcg"): 12,
    ("debian-7.2", "arm64-tcg"): 62,
    ("debian-7.2", "riscv64-tcg"): 28,
    ("debian-7.2", "x86_64-tcg"): 18,
    ("debian-newest", "arm64-tcg"): 62,
    ("debian-newest", "riscv64-tcg"): 28,
    ("debian-newest", "x86_64-tcg"): 18,
}


def renamed(seen, sequence, labels):
    """Return an observation with the labels of a sequence. A step without a label has succeeded."""
    back = {own: theirs for theirs, own in labels.items() if theirs}
    exits, answers = {}, {}
    for number, action in enumerate(sequence.actions):
        own = label(number, action)
        theirs = back.get(own)
        if theirs in seen.exits:
            exits[own] = seen.exits[theirs]
        elif theirs in seen.answers:
            answers[own] = seen.answers[theirs]
        elif theirs is None:
            answers[own] = Answer(0, 0, b"")
    return msgspec.structs.replace(seen, exits=exits, answers=answers)


@pytest.mark.parametrize(("name", "machine"), LEAST, ids=map("-".join, LEAST))
def test_recordings_do_not_contradict_the_model(recording, name, machine):
    found = recording(name)
    facts = found.facts[machine]
    assert CONTRACTS[facts.arch].fits(facts) == ""
    contract = CONTRACTS[facts.arch](facts)
    compared = Counter()
    for scenario in catalogue.load().scenarios.values():
        if scenario.arch != facts.arch:
            continue
        try:
            sequence, labels = translated(contract, scenario)
        except Unknown:
            continue
        for (place, title, abi), seen in found.seen.items():
            recorded = {*seen.exits, *seen.answers}
            if (place, title) != (machine, scenario.name) or not {one for one in labels if one} <= recorded:
                continue
            judged = judge(contract, sequence, renamed(seen, sequence, labels))
            assert judged.disagreement is None, (scenario.name, abi, judged.disagreement)
            compared[scenario.name] += 1
    assert len(compared) >= LEAST[name, machine], dict(compared)


def test_linux_5_10_is_not_described(recording):
    for facts in recording("debian-5.10").facts.values():
        assert "begins with" in CONTRACTS[facts.arch].fits(facts)
