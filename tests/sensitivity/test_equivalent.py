"""The list of equivalent mutants."""

from sysevent.arches import ARCHITECTURES
from sysevent.sensitivity import equivalent
from sysevent.sensitivity.equivalent import Equivalent
from sysevent.sensitivity.mutants import Mutant
from sysevent.sensitivity.operators import OPERATORS, Edit
from sysevent.sensitivity.places import PLACES


def mutant(after=";", above="{"):
    return Mutant("m", "a.c", "f", "delete", 7, "g();", after, above, "", Edit(0, 1, b"", "delete"))


def test_list_is_valid():
    files = {path for arch in ARCHITECTURES for place in PLACES[arch] for path in place.paths}
    for row in equivalent.load():
        assert row.operator in (*OPERATORS, equivalent.ANY), row
        assert row.file in files, row
        assert row.before == row.before.strip(), row
        assert row.reason, row
        assert not row.reason.endswith("."), row


def test_rows_are_different():
    rows = [
        (row.file, row.function, row.operator, row.before, row.after, row.above) for row in equivalent.load()
    ]
    assert len(set(rows)) == len(rows)


def test_row_is_one_of_two_equal_lines():
    row = Equivalent("a.c", "f", "delete", "g();", "no effect", above="if (a)")
    one, other = (mutant(above=line) for line in ("if (a)", "if (b)"))
    assert equivalent.reason(one, (row,)) == "no effect"
    assert equivalent.reason(other, (row,)) == ""


def test_row_is_one_of_two_lines_below_equal_ones():
    row = Equivalent("a.c", "f", "delete", "g();", "no effect", above="if (a)\nh();")
    assert equivalent.reason(mutant(above="{\nif (a)\nh();"), (row,)) == "no effect"
    assert equivalent.reason(mutant(above="{\nif (b)\nh();"), (row,)) == ""
    assert equivalent.reason(mutant(above="if (ba)\nh();"), (row,)) == ""
    assert equivalent.reason(mutant(above="else if (a)\nh();"), (row,)) == ""


def test_row_is_one_of_two_changes():
    row = Equivalent("a.c", "f", "delete", "g();", "no effect", after="h();")
    assert equivalent.reason(mutant(after="h();"), (row,)) == "no effect"
    assert equivalent.reason(mutant(after=";"), (row,)) == ""


def test_row_is_every_change_of_a_line_that_is_not_reached():
    row = Equivalent("a.c", "f", equivalent.ANY, "g();", "not reached")
    assert equivalent.reason(mutant(), (row,)) == "not reached"
    assert equivalent.reason(mutant(), (Equivalent("a.c", "f", "negate", "g();", "not reached"),)) == ""
