"""No input makes a parser hang, take all memory, or raise anything but a small SyseventError."""

import pytest

from fuzz import run, samples
from fuzz.parsers import PARSERS

CORPUS = samples.DATA / "corpus"
# Mutations of the samples of each parser; `python -m fuzz` tries more.
COUNT = 60


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_mutations(parser):
    before = run.peak()
    for number, data in enumerate(run.mutations(parser, "test", COUNT // 6 if parser.slow else COUNT)):
        assert run.defect(parser, data) == "", f"input {number} of {len(data)} bytes: {data[:200]!r}"
    assert run.peak() - before < run.MEMORY_MAX


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_samples_are_valid(parser):
    """Mutations of what a parser rejects at once would show nothing."""
    for data in parser.samples():
        parser.run(data)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param(folder.name, path, id=f"{folder.name}/{path.name}")
        for folder in sorted(CORPUS.iterdir())
        if folder.is_dir()
        for path in sorted(folder.iterdir())
    ],
)
def test_corpus(name, path):
    """Inputs that were defects once."""
    assert run.defect(PARSERS[name], path.read_bytes()) == ""
