"""The list of equivalent mutants."""

from sysevent.arches import ARCHITECTURES
from sysevent.sensitivity import equivalent
from sysevent.sensitivity.operators import OPERATORS
from sysevent.sensitivity.places import PLACES


def test_list_is_valid():
    files = {path for arch in ARCHITECTURES for place in PLACES[arch] for path in place.paths}
    for row in equivalent.load():
        assert row.operator in OPERATORS, row
        assert row.file in files, row
        assert row.before == row.before.strip(), row
        assert row.reason, row
        assert not row.reason.endswith("."), row


def test_rows_are_different():
    rows = [(row.file, row.function, row.operator, row.before, row.after) for row in equivalent.load()]
    assert len(set(rows)) == len(rows)
