"""What recorded kernels say of themselves."""

import msgspec
import pytest

from sysevent.engine.facts import facts
from sysevent.model import Facts
from sysevent.scenario.facts import FACTS
from sysevent.wire import Hello

NONE = 0xFFFF_FFFF_FFFF_FFFF


def told(recording, target):
    """The facts again, from the recorded answers of the facts scenarios."""
    arch = recording.facts[target].arch
    seen = [
        recording.seen[target, asked.name, arch]
        for asked in FACTS[arch]
        if (target, asked.name, arch) in recording.seen
    ]
    return facts(seen, Hello(1, 1, recording.facts[target].release, arch, recording.facts[target].build_id))


@pytest.mark.parametrize("name", ["debian-5.10", "debian-6.1", "debian-6.12", "debian-7.2", "debian-newest"])
def test_the_facts_of_a_recording_are_those_of_its_answers(recording, name):
    found = recording(name)
    for target, known in found.facts.items():
        assert told(found, target) == known


@pytest.mark.parametrize(
    ("name", "version", "reset2", "off2"),
    [
        ("debian-5.10", 1 << 16, NONE, NONE),
        ("debian-6.1", 1 << 16 | 1, 0, NONE),
        ("debian-6.12", 1 << 16 | 1, 0, NONE),
        ("debian-7.2", 1 << 16 | 3, 0, 1),
    ],
)
def test_psci(recording, name, version, reset2, off2):
    """Each answer is the call's own, not what was in the register before."""
    features = recording(name).facts["arm64-tcg"].features
    assert features["psci.version"] == version
    assert features["psci.features.0x84000012"] == reset2
    assert features["psci.features.0x84000015"] == off2


def test_a_question_that_did_not_come_back_is_left_out(recording):
    found = recording("debian-6.1")
    seen = found.of("arm64-tcg", "arm64.facts")
    hello = Hello(1, 3, "6.1.0", "aarch64", "id")
    lost = {"psci.version": msgspec.structs.replace(seen.exits["psci.version"], ret=-1, errno=4)}
    assert facts([msgspec.structs.replace(seen, exits=lost, answers={})], hello) == Facts(
        "arm64", "6.1.0", {}, {}, "id"
    )
