"""What was seen can be judged again: observations and facts through JSON and back."""

import json

import pytest

from sysevent.errors import UsageError
from sysevent.model import Answer, Observation, RawExit
from sysevent.report import recorded

SEEN = Observation(
    "arm64.test",
    "arm64",
    "i386",
    {
        "exit": RawExit(0, 0, False, 12, 0xAA, bytes(range(256)) + bytes(64), 1, 400, (1, 1 << 63)),
        "again": RawExit(-1, 4, True, 13, None, bytes(320), 0, 0, ()),
    },
    {"mp_state": Answer(0, 0, b"\5\0\0\0"), "cap": Answer(-1, 22, b"")},
    {"call.returned": 0x40000004},
)


def through_json(seen):
    return json.loads(json.dumps({"record": "observation", "target": "t", **recorded.observation(seen)}))


def test_observation_round_trip():
    assert recorded.read_observation(through_json(SEEN)) == SEEN


def test_observation_round_trip_of_real_ones(recording):
    for seen in recording("debian-6.12").seen.values():
        assert recorded.read_observation(through_json(seen)) == seen


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.pop("symbols"),
        lambda record: record.pop("exits"),
        lambda record: record["exits"]["exit"].pop("poison"),
        lambda record: record["exits"]["exit"].update(head="no hex"),
        lambda record: record["exits"]["exit"].update(more=1),
        lambda record: record["answers"]["cap"].update(data=3),
        lambda record: record["answers"].update(cap=None),
    ],
)
def test_an_incomplete_observation(spoil):
    record = through_json(SEEN)
    spoil(record)
    with pytest.raises(UsageError, match="not a recorded observation"):
        recorded.read_observation(record)


TARGET = {
    "arch": "arm64",
    "kernel": "6.1.0",
    "capabilities": {"vm/215": 1},
    "features": {"x": 0},
    "vmm": "id",
}


def test_facts():
    found = recorded.read_facts({"record": "target", "name": "t", **TARGET})
    assert (found.arch, found.release, found.capabilities, found.features, found.build_id) == (
        "arm64",
        "6.1.0",
        {"vm/215": 1},
        {"x": 0},
        "id",
    )


@pytest.mark.parametrize("key", TARGET)
def test_incomplete_facts(key):
    record = {name: value for name, value in TARGET.items() if name != key}
    with pytest.raises(UsageError, match=f"not a recorded target: KeyError.'{key}'. is missing"):
        recorded.read_facts(record)
