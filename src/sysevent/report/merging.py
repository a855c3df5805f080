"""Several runs as one, such as the shards of a job. No I/O.

The records of each run stay together, and begin with its `run` record. All renderers take one run as well as several.

- The same claim on the same target of the same kernel, judged by several runs: the worst verdict counts, so that no
  FAIL is hidden. matrix.last_verdicts() has that rule.
- Targets of the same name with different kernels are different targets: `@` and the kernel are added to their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sysevent.report import records
from sysevent.report.matrix import last_verdicts
from sysevent.report.records import Record

# What tells apart the kernels behind one name of a target: specification, release, build ID, and mode of KVM. Empty as
# long as no kernel has answered.
_Kernel = tuple[str, ...]
# Digits of a build ID that are shown.
_DIGITS = 12
# Claims that the line about different verdicts names.
_NAMED = 20


def merge(runs: Sequence[Sequence[Record]]) -> list[Record]:
    """Return the records of several runs, in their order; targets that are not the same have different names."""
    if len(runs) == 1:
        return list(runs[0])
    names = _names([_kernels(run) for run in runs])
    return [_renamed(record, new) for run, new in zip(runs, names, strict=True) for record in _beginning(run)]


def split(run: Sequence[Record]) -> list[list[Record]]:
    """Return the records of each run that was merged. Records without a `run` before them are of one run."""
    found: list[list[Record]] = []
    for record in run:
        if isinstance(record, records.Run) or not found:
            found.append([])
        found[-1].append(record)
    return found


def notes(run: Sequence[Record]) -> Iterator[str]:
    """Yield what a reader of the report must know about the runs: which, how each ended, where they differ."""
    parts = split(run)
    for part in parts:
        if (note := how_it_ended(part)) or len(parts) > 1:
            yield f"{name_of(part)}: {note or 'ended'}"
    if len(parts) > 1 and (different := _different(run, parts)):
        left = len(different) - _NAMED
        more = f" and {left} more" if left > 0 else ""
        yield f"judged differently by several runs, the worst counts: {'; '.join(different[:_NAMED])}{more}"


def name_of(run: Sequence[Record]) -> str:
    """Return how a single run is called in a report: "run 20261126T140000Z-77"."""
    first = next((record for record in run if isinstance(record, records.Run)), None)
    return f"run {first.id}" if first else "a run"


def how_it_ended(run: Sequence[Record]) -> str:
    """Return why a single run is not complete; "" if it is."""
    end = next((record for record in reversed(run) if isinstance(record, records.End)), None)
    if end is None:
        return "it has no end: it was killed or still runs; only what it had recorded by then is here"
    return f"interrupted by {end.reason}: only what it had asked by then is here" if end.reason else ""


def _different(run: Sequence[Record], parts: Sequence[Sequence[Record]]) -> list[str]:
    """Claims that have different verdicts in several runs, each with its column and its statuses."""
    each = [last_verdicts(part) for part in parts]
    found = []
    for test, place in last_verdicts(run):
        statuses = [one[test, place].status for one in each if (test, place) in one]
        if len(set(statuses)) > 1:
            found.append(f"{test} on {place} ({', '.join(statuses)})")
    return found


def _beginning(run: Sequence[Record]) -> Sequence[Record]:
    """The records of a run behind its `run` record; with one that says that there is none."""
    if run and isinstance(run[0], records.Run):
        return run
    unknown = records.Run(schema=records.SCHEMA, id="unknown", start="", argv=(), versions={})
    return [unknown, *run]


def _kernels(run: Sequence[Record]) -> dict[str, _Kernel]:
    """The kernel of each target of a run, by the target's name."""
    found: dict[str, _Kernel] = {}
    for record in run:
        if isinstance(record, records.Target):
            found[record.name] = (
                record.spec or record.kernel,
                record.kernel,
                record.build_id[:_DIGITS],
                _mode(record),
            )
        elif isinstance(record, records.Verdict) and not found.get(record.target):
            # Headers have no record of a target.
            found[record.target] = (record.kernel, record.kernel, "", "") if record.kernel else ()
    return found


def _mode(target: records.Target) -> str:
    """The mode and the modules of a target's KVM: the same kernel can give other answers with others."""
    found = {**target.module_build_ids, **target.mode}
    return " ".join(f"{name}={value[:_DIGITS]}" for name, value in sorted(found.items()))


def _names(runs: Sequence[dict[str, _Kernel]]) -> list[dict[str, str]]:
    """The new name of each target in each run, by its name there; of those that are renamed."""
    renamed: list[dict[str, str]] = [{} for _ in runs]
    for name in dict.fromkeys(name for run in runs for name in run):
        kernels = list(dict.fromkeys(run[name] for run in runs if run.get(name)))
        for run, names in zip(runs, renamed, strict=True):
            if len(kernels) > 1 and run.get(name):
                names[name] = "@".join((name, *_label(run[name], kernels)))
    return renamed


def _label(kernel: _Kernel, kernels: Sequence[_Kernel]) -> list[str]:
    """What a kernel has and no other one: as much of it as is needed, the first part in any case."""
    others = [other for other in kernels if other != kernel]
    shown: list[str] = []
    for place, part in enumerate(kernel):
        left = [other for other in others if other[place] == part]
        if part and (place == 0 or len(left) < len(others)):
            shown.append(part)
        others = left
    return shown


def _renamed(record: Record, names: dict[str, str]) -> Record:
    """A record with the new name of its target."""
    if isinstance(record, records.Target):
        return msgspec.structs.replace(record, name=names.get(record.name, record.name))
    if isinstance(record, records.Run | records.End):
        return record
    return msgspec.structs.replace(record, target=names.get(record.target, record.target))
