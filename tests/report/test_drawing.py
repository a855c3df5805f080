"""Drawings of structures, and the lines of a scan and of a comparison."""

import msgspec
import pytest

from sysevent.arches import ABIS
from sysevent.decode.structs import Leaf
from sysevent.errors import UsageError
from sysevent.headers.compare import compare
from sysevent.headers.lookup import lookup
from sysevent.headers.scan import scan
from sysevent.report import layout_text
from sysevent.report.drawing import Look, StructView, draw, text


def lines(recorded_layout, kernel, name, *abis):
    return draw({abi: StructView(*lookup(recorded_layout(kernel, abi), name)) for abi in abis})


def test_two_abis_below_each_other(recorded_layout):
    assert [
        text(line) for line in lines(recorded_layout, "5.10", "kvm_run.system_event", "x86_64", "i386")
    ] == [
        "        32      36      40      44",
        "x86_64  |type   |·······|flags          |",
        "i386    |type   |flags          |",
    ]


def test_members_that_share_bytes_have_rows_of_their_own(recorded_layout):
    drawn = [text(line) for line in lines(recorded_layout, "7.2", "kvm_run.system_event", "arm64")]
    assert drawn[:3] == [
        "       32      36      40      44      48      52      56      60",
        "arm64  |type   |ndata  |data                                           |",
        "                       |flags          |",
    ] or drawn[1:3] == [
        "arm64  |type   |ndata  |data                                           |",
        "                       |flags                                          |",
    ]
    assert drawn[-2:] == ["       160     164", "arm64  |...            |"]


def test_differences_are_marked(recorded_layout):
    drawn = lines(recorded_layout, "5.10", "kvm_run.system_event", "x86_64", "i386")
    looks = {
        piece.strip("| "): look for line in drawn for piece, look in line if piece.startswith("|") and look
    }
    assert looks["type"] is Look.SAME
    assert looks["flags"] is Look.OTHER
    assert looks["·······"] is Look.PADDING


def test_a_member_that_continues_in_the_next_row():
    leaf = Leaf("long_name_of_an_array", 24, 16, "__u64[2]", None, "")
    short = msgspec.structs.replace(leaf, path="b", offset=40, size=1)
    assert [text(line) for line in draw({"a": StructView((leaf, short), 24, 41)})] == [
        "   24      28      32      36      40",
        "a  |long_name_of_an_array          |b|",
    ]
    wide = msgspec.structs.replace(leaf, size=40)
    assert [text(line) for line in draw({"a": StructView((wide,), 24, 64)})][3:] == [
        "   56      60",
        "a  |...            |",
    ]


def test_long_names_are_shortened():
    leaves = (Leaf("abcdef", 0, 1, "", None, ""), Leaf("longmode", 4, 4, "", None, ""))
    assert text(draw({"x": StructView(leaves, 0, 8)})[1]) == "x  |a|·····|longmo~|"


def test_a_large_structure_is_drawn_without_inner_members(recorded_layout):
    whole, start, end = lookup(recorded_layout("7.2", "x86_64"), "kvm_run")
    names = [leaf.path for leaf in whole]
    assert (start, end) == (0, 2352)
    assert "system_event" in names
    assert not any("." in name for name in names)


@pytest.mark.parametrize("name", ["kvm_nothing", "kvm_run.nothing", "xen_exit"])
def test_an_unknown_name_is_a_usage_error(recorded_layout, name):
    with pytest.raises(UsageError, match=r"no struct|no member"):
        lookup(recorded_layout("7.2", "x86_64"), name)


def test_the_table_of_hazards(recorded_layout):
    userspace = ABIS["i386"]
    found = scan(recorded_layout("7.2", "x86_64"), recorded_layout("7.2", "i386"), userspace)
    entry = layout_text.Scanned("7.2", userspace, found, ())
    absent = layout_text.Scanned("5.10", ABIS["riscv32"], None, ())
    shown = [text(line).split() for line in layout_text.table([entry, absent])]
    assert shown[1][:3] == ["x86_64/i386", "7.2", "1"]
    assert shown[1][-1] == "kvm_xen_exit"
    assert shown[2][-3:] == ["no", "KVM", "there"]
    details = "\n".join(text(line) for line in layout_text.details([entry], with_padding=False))
    assert "kvm_xen_exit (is kvm_run.xen)" in details
    assert "u.hcall.input            @16, 8 bytes / @12, 8 bytes" in details


def test_the_lines_of_a_comparison(recorded_layout):
    for abi, words in (("i386", "an old binary misreads: 1"), ("x86_64", "an old binary misreads nothing")):
        found = compare(recorded_layout("5.10", abi), recorded_layout("7.2", abi), ABIS[abi])
        shown = [text(line) for line in layout_text.changes("5.10", "7.2", ABIS[abi], found)]
        assert shown[0] == f"{abi}: 5.10 -> 7.2"
        assert any(words in line for line in shown)
        assert sum("alternative" in line and "tdx" in line for line in shown) == 1
