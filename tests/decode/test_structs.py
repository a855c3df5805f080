"""Members by their paths, and implicit padding."""

import pytest

from sysevent.decode.structs import Leaf, Member, Struct, element_count, find, holes, leaves
from sysevent.errors import BadWire

INNER = Struct("inner", "struct", 12, (Member("a", 0, 8, "__u64"), Member("b", 8, 4, "__u32")))
OUTER = Struct(
    "outer",
    "struct",
    64,
    (
        Member("type", 0, 4, "__u32"),
        Member(
            "",
            8,
            24,
            "union",
            kind="union",
            members=(
                Member("one", 0, 12, "struct inner", ref="inner"),
                Member(
                    "two",
                    0,
                    24,
                    "struct[2]",
                    kind="struct",
                    members=(Member("x", 0, 1, "__u8"), Member("y", 4, 8, "__u8[8]")),
                ),
            ),
        ),
        Member("end", 40, 8, "__u64"),
    ),
)
KNOWN = {"inner": INNER}


def test_leaves_name_every_member_that_holds_data():
    assert [leaf.path for leaf in leaves(OUTER)] == ["type", "one", "two[].x", "two[].y", "end"]
    paths = [leaf.path for leaf in leaves(OUTER, KNOWN)]
    assert paths == ["type", "one.a", "one.b", "two[].x", "two[].y", "end"]
    assert {leaf.path: leaf.offset for leaf in leaves(OUTER, KNOWN)}["one.b"] == 16


def test_a_structure_that_refers_to_itself():
    loop = Struct("loop", "struct", 8, (Member("next", 0, 8, "struct loop", ref="loop"),))
    assert [leaf.path for leaf in leaves(loop, {"loop": loop})] == ["next"]


@pytest.mark.parametrize(
    ("path", "extent"),
    [
        ("two", (8, 24)),
        ("two.y", (12, 8)),
        ("one.b", (16, 4)),
        ("end", (40, 8)),
        ("one.c", None),
        ("x", None),
    ],
)
def test_find(path, extent):
    found = find(OUTER, path, KNOWN)
    assert (found and (found.offset, found.size)) == extent


def test_holes_of_every_structure_but_not_of_unions():
    found = {(hole.where, hole.offset, hole.size, hole.tail) for hole in holes(OUTER)}
    # `one` is a structure of its own; `two`'s elements have 12 bytes: 3 between x and y, none at the end.
    assert found == {("", 4, 4, False), ("", 32, 8, False), ("", 48, 16, True), ("two", 9, 3, False)}


def test_a_bit_field_covers_the_bytes_of_its_bits():
    bits = Struct("bits", "struct", 8, (Member("a", 0, 4, "int", (0, 3)), Member("b", 0, 4, "int", (3, 7))))
    assert [(hole.offset, hole.size) for hole in holes(bits)] == [(2, 6)]


@pytest.mark.parametrize(("text", "number"), [("int", 1), ("int[3]", 3), ("int[2][3]", 6), ("char[]", 1)])
def test_element_count(text, number):
    assert element_count(text) == number


def test_end_of_a_leaf():
    assert Leaf("x", 8, 4, "int", None, "").end == 12


def test_structures_that_double_at_each_level():
    """A guest can report some that have 2^40 members in total."""
    known = {
        f"s{n}": Struct(f"s{n}", "struct", 8, tuple(Member(m, 0, 4, "x", ref=f"s{n + 1}") for m in "ab"))
        for n in range(40)
    }
    with pytest.raises(BadWire, match="more than 65536 members"):
        list(leaves(known["s0"], known))
    nameless = {
        name: Struct(name, "struct", 8, tuple(Member("", 0, 4, "x", ref=m.ref) for m in one.members))
        for name, one in known.items()
    }
    with pytest.raises(BadWire, match="more than 65536 members"):
        find(nameless["s0"], "x", nameless)


def test_structures_that_contain_themselves():
    around = {"a": Struct("a", "struct", 4, (Member("", 0, 4, "struct a", ref="a"),))}
    with pytest.raises(BadWire, match="structures in one another"):
        find(around["a"], "x", around)
    chain = {
        f"s{n}": Struct(f"s{n}", "struct", 4, (Member("m", 0, 4, "x", ref=f"s{n + 1}"),)) for n in range(300)
    }
    with pytest.raises(BadWire, match="structures in one another"):
        list(leaves(chain["s0"], chain))
