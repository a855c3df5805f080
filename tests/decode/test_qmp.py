"""What QEMU printed on a QMP connection, read to its end."""

import json

import pytest
import vmm_runs as runs

from sysevent.decode.qmp import Event, read_qmp


def test_a_transcript():
    """Version, events with their data and times, and what commands returned."""
    found = read_qmp(
        runs.qmp(
            runs.GREETING,
            {"return": {}},
            runs.event("RESET", 7.25, guest=True, reason="guest-reset"),
            {"error": {"class": "CommandNotFound", "desc": "no such command"}},
        )
    )
    assert found.version == "10.0.13"
    assert found.events == (Event("RESET", {"guest": True, "reason": "guest-reset"}, 7.25),)
    assert found.events[0].text("reason") == "guest-reset"
    assert found.events[0].text("guest") == ""
    assert found.answers == ({}, "no such command")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"qemu-system-x86_64: warning: something",
        b"{",
        b'{"event": 5}',
        b'{"event": "RESET", "data": []}',
        b'{"event": "reset\\u001b[31m"}',
        b'{"event": "RESET\\nSHUTDOWN"}',
        b'{"event": "' + b"A" * 70 + b'"}',
        b'{"event": "RESET", "x": "' + b"y" * 70_000 + b'"}',
        b'{"return":' * 3000,
        b"\xff\xfe{}",
        b'{"QMP": {"version": {"qemu": {"major": "x"}}}}',
    ],
)
def test_what_is_not_qmp_is_skipped(line):
    """Whatever it is, the events around it count."""
    found = read_qmp(runs.qmp(runs.event("RESET"), line, runs.event("SHUTDOWN")))
    assert [one.name for one in found.events] == ["RESET", "SHUTDOWN"]
    assert found.version == ""


def test_a_flood():
    """A limited number of events and answers is kept."""
    found = read_qmp(runs.qmp(*[runs.event("RESET")] * 1000, *[{"return": 1}] * 1000))
    assert (len(found.events), len(found.answers)) == (200, 200)


def test_long_texts_are_cut():
    found = read_qmp(json.dumps(runs.event("RESET", reason="x" * 10_000)).encode())
    assert len(found.events[0].text("reason")) == 400
