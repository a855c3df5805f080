"""Records: what is written can be read and judged again, and follows the published schema."""

import json
import re
from typing import get_args

import msgspec
import pytest
import sample_records
from json_schema import JsonSchema

from sysevent.checkout import ROOT
from sysevent.model import Answer, Observation, RawExit
from sysevent.report import recorded_observation, records, schema_page

PUBLISHED = ROOT / "docs" / "run.schema.json"
# One of so many lines of a recording is checked by jsonschema.
SAMPLE = 20
RECORDINGS = sorted((ROOT / "tests" / "data" / "runs").glob("*.jsonl"))
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
EVERY_KIND = [
    sample_records.RUN,
    sample_records.TARGET,
    sample_records.verdict("a.b", "arm64-tcg", "PASS"),
    sample_records.INCIDENT,
    records.Observation.of("arm64-tcg", SEEN),
    sample_records.OUTCOME,
    sample_records.READING,
    sample_records.PEER,
    sample_records.COVERAGE,
    sample_records.KEPT,
    sample_records.END,
]


def as_json(record):
    return json.loads(json.dumps(msgspec.to_builtins(record)))


def test_samples_are_of_every_kind():
    assert [type(record) for record in EVERY_KIND] == list(get_args(records.Record))


@pytest.mark.parametrize("record", EVERY_KIND, ids=lambda record: type(record).__name__)
def test_round_trip(record):
    """The kind is the first key, the fields follow in the order of the struct."""
    written = as_json(record)
    assert list(written) == ["record", *record.__struct_fields__]
    assert written["record"] == type(record).__name__.lower()
    assert msgspec.convert(written, records.Record) == record


def test_observation_round_trip():
    assert records.Observation.of("t", SEEN).seen() == SEEN


def test_observation_round_trip_of_real_ones(recording):
    for seen in recording("debian-6.12").seen.values():
        assert records.Observation.of("t", seen).seen() == seen


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.pop("symbols"),
        lambda record: record.pop("exits"),
        lambda record: record["exits"]["exit"].pop("poison"),
        lambda record: record["exits"]["exit"].update(poison=256),
        lambda record: record["exits"]["exit"].update(head="no hex"),
        lambda record: record["exits"]["exit"].update(head="00" * 319),
        lambda record: record["exits"]["exit"].update(microseconds=-1),
        lambda record: record["exits"]["exit"].update(registers=[1.5]),
        lambda record: record["answers"]["cap"].update(data=3),
        lambda record: record["answers"]["cap"].update(data="abc"),
        lambda record: record["answers"].update(cap=None),
    ],
)
def test_an_invalid_observation(spoil):
    record = as_json(records.Observation.of("t", SEEN))
    spoil(record)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(record, records.Record)


def test_fields_of_later_versions_are_ignored():
    record = as_json(records.Observation.of("t", SEEN))
    record["later"] = record["exits"]["exit"]["later"] = {"any": ["thing"]}
    assert msgspec.convert(record, records.Record).seen() == SEEN


def test_a_target_of_an_older_run():
    """Its records had neither `fallback` nor `origin`."""
    record = as_json(sample_records.TARGET)
    del record["fallback"], record["origin"]
    found = msgspec.convert(record, records.Record)
    assert (found.fallback, found.origin) == ("", "")


def test_facts():
    found = sample_records.TARGET.facts()
    assert (found.arch, found.release, found.build_id) == ("arm64", "6.1.0", "1234")
    assert (found.capabilities, found.features) == ({"vm/215": 1}, {"psci.version": 65537})


def test_the_page_is_up_to_date():
    committed = (ROOT / "docs" / "run-jsonl.md").read_text(encoding="utf-8")
    command = "python -m sysevent.report.schema_page > docs/run-jsonl.md"
    assert committed == schema_page.page(), f"regenerate it: {command}"


def test_the_schema_is_up_to_date():
    command = "python -m sysevent.report.schema_page json > docs/run.schema.json"
    assert PUBLISHED.read_text(encoding="utf-8") == schema_page.schema(), f"regenerate it: {command}"


@pytest.fixture(scope="module")
def validator():
    """What other programs would take to check a line, with the published schema."""
    pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install --group dev")
    from jsonschema import Draft202012Validator

    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(published)
    return Draft202012Validator(published)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_another_validator_accepts_recordings(path, validator):
    """A sample of each, as it takes a while."""
    for line in path.read_text().splitlines()[::SAMPLE]:
        validator.validate(json.loads(line))


@pytest.mark.parametrize("record", EVERY_KIND, ids=lambda record: type(record).__name__)
def test_another_validator_accepts_every_kind(record, validator):
    """With fields that it does not know, but not without a field that has no default."""
    found = as_json(record)
    validator.validate(found | {"later": 1})
    for field in msgspec.structs.fields(type(record)):
        if field.required:
            assert not validator.is_valid({name: found[name] for name in found if name != field.name})


def structs():
    described = msgspec.inspect.multi_type_info(
        [*get_args(records.Record), recorded_observation.Exit, recorded_observation.Answer]
    )
    return [(struct.cls, field.encode_name) for struct in described for field in struct.fields]


@pytest.mark.parametrize(("struct", "field"), structs(), ids=str)
def test_every_field_is_described(struct, field):
    assert re.search(
        rf"^\| `{field}` \| .+ \| .+[.] \|$", "\n".join(schema_page.section(struct)), re.MULTILINE
    )


SCHEMA = JsonSchema(msgspec.json.schema(records.Record))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_follow_the_schema(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert SCHEMA.errors(json.loads(line)) == [], f"line {number}"


@pytest.mark.parametrize("record", EVERY_KIND, ids=lambda record: type(record).__name__)
def test_every_kind_follows_the_schema(record):
    assert SCHEMA.errors(as_json(record)) == []
    for field in record.__struct_fields__:
        assert SCHEMA.errors({**as_json(record), field: [{}]}), field
