"""The matrix of a run and what each cell opens, as compact data that the script of a page draws on demand. No I/O.

A page of 5,000 cells would be slow with 5,000 details in its document, so they are JSON. A cell is a row of numbers;
most of them are indices of texts, of which each is stored once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from sysevent.abi import names
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.union_members import AFTER_UNION, BEFORE_UNION, UNION_MEMBERS
from sysevent.contract import catalogue
from sysevent.contract.claim import PREFIX, Claim
from sysevent.contract.errata import BY_ID
from sysevent.contract.exit_claim import ExitClaim
from sysevent.model import Status
from sysevent.report import explanation, records
from sysevent.report.families import family
from sysevent.report.html import again, evidence
from sysevent.report.html.safe import clipped
from sysevent.report.matrix import last_verdicts, ordered_columns
from sysevent.report.order import claim_key, natural
from sysevent.scenario import description

Json = Any

# Lines of a kernel's log in a detail.
_LOG_LINES = 60
# The values of members that have names: those of the exits and of the types of system events.
_NAMES = {
    "exit_reason": {int(one): names.exit_reason(one) for one in ExitReason},
    "type": {int(one): names.event_type(one) for one in EventType},
}


class Texts:
    """Texts and other values, each stored once."""

    def __init__(self) -> None:
        self.values: list[Json] = [""]
        self._index: dict[Json, int] = {"": 0}

    def add(self, text: str) -> int:
        """Return the index of a text, escaped and cut to what a page has space for."""
        if text not in self._index:
            self._index[text] = len(self.values)
            self.values.append(clipped(text))
        return self._index[text]


def data(run: Sequence[records.Record], logs: Mapping[str, str] | None = None) -> dict[str, Json]:
    """Return the data of a page about a run. logs: the end of the log of a target, by its name."""
    texts = Texts()
    verdicts = last_verdicts(run)
    columns = ordered_columns(verdicts.values())
    tests = sorted(
        {test for test, _ in verdicts}, key=lambda test: claim_key(test.removeprefix(f"{PREFIX}."))
    )
    known = _known(verdicts)
    families = sorted({family(one) for one in verdicts.values()}, key=natural)
    rows = {test: index for index, test in enumerate(tests)}
    places = {name: index for index, name in enumerate(columns)}
    observations, commands = evidence.Observations(run), _commands(run)
    cells = [
        [
            rows[test],
            places[place],
            *_cell(one, observations, known.get(test), commands.get(id(one), ()), texts),
        ]
        for (test, place), one in verdicts.items()
    ]
    first = {test: one for (test, _), one in verdicts.items()}
    somewhere = {place: one for (_, place), one in verdicts.items()}
    return {
        "statuses": [str(status) for status in Status],
        "columns": [_column(name, somewhere[name], texts) for name in columns],
        "families": [texts.add(name) for name in families],
        "claims": [_claim(test, first[test], families, known.get(test), texts) for test in tests],
        "cells": cells,
        "errata": _errata(verdicts, texts),
        "members": _members(),
        "names": _NAMES,
        "logs": {name: clipped(text) for name, text in (logs or {}).items()},
        "incidents": _incidents(run, texts),
        "texts": texts.values,
    }


def _known(verdicts: Mapping[tuple[str, str], records.Verdict]) -> dict[str, Claim[Any]]:
    """Return the claims of this version, by the names that they have for the ABIs of a run."""
    abis = {one.abi for one in verdicts.values()}
    return {claim.test(abi): claim for abi in abis for claim in catalogue.load()}


def _commands(run: Sequence[records.Record]) -> dict[int, Sequence[str]]:
    """Return the command line of the run that each verdict is from, by the identity of its record."""
    argv: Sequence[str] = ()
    found = {}
    for record in run:
        if isinstance(record, records.Run):
            argv = record.argv
        elif isinstance(record, records.Verdict):
            found[id(record)] = argv
    return found


def _column(name: str, verdict: records.Verdict, texts: Texts) -> dict[str, Json]:
    """Return what a column is, from one of its verdicts."""
    return {
        "name": clipped(name),
        "target": clipped(verdict.target),
        "abi": clipped(verdict.abi),
        "kernel": texts.add(verdict.kernel),
    }


def _claim(
    test: str, verdict: records.Verdict, families: Sequence[str], claim: Claim[Any] | None, texts: Texts
) -> list[Json]:
    """Return name, family, dimensions, what the claim says, its source, steps, expectations, and programs."""
    dimensions = ", ".join(f"{name} {value}" for name, value in verdict.dimensions.items())
    head = [
        clipped(test.removeprefix(f"{PREFIX}.")),
        families.index(family(verdict)),
        texts.add(dimensions),
        texts.add(claim.says if claim else ""),
        texts.add(claim.source if claim else ""),
    ]
    if not isinstance(claim, ExitClaim):
        return [*head, 0, 0, []]
    expected = "\n".join(explanation.expected(claim.gives, claim.asks.name))
    return [
        *head,
        texts.add("\n".join(description.lines(claim.asks))),
        texts.add(expected),
        [[texts.add(name), texts.add(text)] for name, text in _programs(claim).items()],
    ]


def _programs(claim: ExitClaim) -> dict[str, str]:
    try:
        return {name: text.expandtabs(8) for name, text in catalogue.programs(claim).items()}
    except OSError:
        # A report of an old run, in a checkout whose payloads were renamed, has all the rest.
        return {}


def _cell(
    verdict: records.Verdict,
    observations: evidence.Observations,
    claim: Claim[Any] | None,
    argv: Sequence[str],
    texts: Texts,
) -> list[Json]:
    """Return the numbers of a cell: see cellOf() in templates/data.js, which names them."""
    of_exits = claim if isinstance(claim, ExitClaim) else None
    found = observations.of(verdict, of_exits.asks.name if of_exits else "") if verdict.raw else None
    exits = evidence.drawn(verdict, found, of_exits)
    log = "\n".join(found.log.lines[:_LOG_LINES]) if found is not None else ""
    return [
        verdict.status.severity,
        texts.add(verdict.reason),
        [[texts.add(text) for text in one] for one in _values(verdict)],
        [[*map(texts.add, (one.label, one.words, one.head, one.states)), int(one.wrong)] for one in exits],
        texts.add(log),
        texts.add(verdict.erratum),
        texts.add(again.command(argv, verdict.nodeid, verdict.target)),
        verdict.seconds,
        texts.add(explanation.LEVELS[verdict.level]),
        verdict.confirmed,
    ]


def _values(verdict: records.Verdict) -> list[tuple[str, str, str]]:
    """Return what is wrong, expected and got; neighbours with the same values, such as data[1] to data[15], are one."""
    found: list[tuple[str, str, str]] = []
    for key, group in itertools.groupby(
        verdict.expected.items(), lambda item: (item[1], verdict.got.get(item[0], ""))
    ):
        members = [what for what, _ in group]
        what = members[0] if len(members) == 1 else f"{members[0]} to {members[-1]}, {len(members)} in all"
        found.append((what, *key))
    return found


def _errata(verdicts: Mapping[tuple[str, str], records.Verdict], texts: Texts) -> dict[str, list[int]]:
    """Return what the errata of a run say, where they are known from, and how they are repaired, by index of the id."""
    ids = dict.fromkeys(one.erratum for one in verdicts.values() if one.erratum)
    return {
        str(texts.add(name)): [texts.add(words) for words in (known.says, known.source, known.fix)]
        for name in ids
        if (known := BY_ID.get(name)) is not None
    }


def _members() -> dict[str, list[Json]]:
    """Return the members that an exit uses, by its reason: names, and their bytes as half-open ranges."""
    found: dict[str, list[Json]] = {
        str(int(reason)): [[one.name, *one.span] for one in members]
        for reason, members in UNION_MEMBERS.items()
    }
    for name, members in (("before", BEFORE_UNION), ("after", AFTER_UNION)):
        found[name] = [[one.name, *one.span] for one in members]
    return found


def _incidents(run: Sequence[records.Record], texts: Texts) -> list[list[int]]:
    """Return the target and the text of each incident."""
    return [
        [texts.add(record.target), texts.add(record.reason)]
        for record in run
        if isinstance(record, records.Incident)
    ]
