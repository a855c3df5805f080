"""docs/abi.md is what the tables, the claims and the recorded runs say; and how bytes are drawn in it."""

import re

import msgspec
import pytest
from sample_exits import event, poke

from sysevent.arches import ARCHITECTURES
from sysevent.checkout import RECORDINGS, ROOT
from sysevent.contract.terms import EventDefinition
from sysevent.report import abi_page, run_log
from sysevent.report.abi_drawing import drawing
from sysevent.report.abi_events import EVENTS, REGISTERS

DATA, FLAGS = EventDefinition.DATA, EventDefinition.FLAGS


def plain(picture):
    """Return the lines of a drawing without its elements."""
    return re.sub(r"<[^>]*>", "", picture).strip("\n").splitlines()


def test_the_page_is_up_to_date():
    runs = [list(run_log.read(path)) for path in sorted(RECORDINGS.glob("*.jsonl"))]
    committed = (ROOT / "docs" / "abi.md").read_text(encoding="utf-8")
    assert committed == abi_page.page(runs), "regenerate it: python -m sysevent.report.abi_page > docs/abi.md"


def test_every_architecture_has_events():
    assert set(EVENTS) == set(REGISTERS) == set(ARCHITECTURES)


def test_bytes_stand_below_their_members():
    assert plain(drawing(event(), DATA)) == [
        "         type        ndata       data[0]",
        "      32 02 00 00 00 01 00 00 00 01 00 00 00 00 00 00 00",
        "  48-159 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "     160 00 00 00 00 00 00 00 00 ·· ·· ·· ·· ·· ·· ·· ··",
        " 176-287 ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ··",
    ]


def test_before_v5_18_there_is_padding():
    assert plain(drawing(event(), FLAGS))[0].split() == ["type", "padding", "flags"]


def test_one_byte_that_differs_has_a_row_of_its_own():
    rows = [line.split()[0] for line in plain(drawing(poke(100, b"\x07"), DATA))[1:]]
    assert rows == ["32", "48-95", "96", "112-159", "160", "176-287"]


def test_bytes_of_the_exit_before_are_marked():
    """A member that has the bytes of the exit before is underlined; its poison is still recognised."""
    kept = msgspec.structs.replace(poke(32, b"\x01"), poison=None)
    picture = drawing(kept, DATA, event())
    assert '<b class="m0">01 00 00 00</b> <u class="m1">01 00 00 00</u>' in picture
    assert "aa" not in picture


@pytest.mark.parametrize("reason", [8, 24, 250])
def test_an_exit_of_any_reason_is_drawn(reason):
    assert plain(drawing(poke(8, bytes([reason])), DATA))
