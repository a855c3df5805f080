"""Files of sequences: the common ones, findings of earlier runs, and files that are neither."""

import msgspec
import pytest

from sysevent.conformance.contract import Configuration
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.errors import UsageError
from sysevent.explore import corpus, recording
from sysevent.settings import from_environment

ONE = Sequence("arm64", Configuration(2, "off"), (Action("run", 1, (), Mode.ASYNC), Action("wait", 1)))


@pytest.fixture
def settings(tmp_path):
    return msgspec.structs.replace(from_environment(), cache=tmp_path)


def test_a_sequence_is_the_same_after_writing_and_reading(tmp_path):
    path = recording.keep(tmp_path / "found", ONE, "arm64.explore.0123", corpus.line(ONE))
    assert path.name == "arm64-0123.jsonl"
    assert corpus.read(path) == [ONE]


def test_what_was_found_before_is_asked_behind_the_common_sequences(settings):
    recording.keep(corpus.found_before(settings), ONE, "arm64.explore.0123", corpus.line(ONE))
    known = list(corpus.known(settings, "arm64"))
    assert known[-1] == ONE
    assert len(known) > 20
    assert ONE not in corpus.known(settings, "x86_64")


@pytest.mark.parametrize("text", ["no JSON", '["arm64",{"vcpus":1},[["run",0,[],"a"]]]', "{}", "\udcff"])
def test_a_damaged_file_is_refused_and_left_out(settings, text):
    folder = corpus.found_before(settings)
    folder.mkdir()
    path = folder / "arm64-1.jsonl"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match="not a sequence"):
        corpus.read(path)
    assert list(corpus.known(settings, "arm64"))


def test_an_absent_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        corpus.read(tmp_path / "none")
