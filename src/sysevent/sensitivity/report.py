"""The report of a measurement: tables, the survivors with their differences, and the matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sysevent.contract.claim import PREFIX
from sysevent.sensitivity import others
from sysevent.sensitivity.drive import Judged, Measurement
from sysevent.sensitivity.verdicts import Fate, Rate

# Columns of the table, in this order.
_COLUMNS = (
    Fate.KILLED,
    Fate.NOTICED,
    Fate.SURVIVED,
    Fate.INCONCLUSIVE,
    Fate.EQUIVALENT,
    Fate.DUPLICATE,
    Fate.NOT_BUILT,
)


def text(found: Measurement) -> str:
    """Return the report: the table, the rates, and every mutant that is not killed with its difference."""
    lines = [*table(found), "", *rates(found)]
    if found.beside:
        lines += ["", *others.lines(found)]
    if found.absent:
        lines.append(f"not in this tree: {', '.join(found.absent)}")
    for fate in (Fate.SURVIVED, Fate.NOTICED, Fate.INCONCLUSIVE):
        chosen = [one for one in found.judged if one.result.fate is fate]
        if chosen:
            lines += ["", f"{len(chosen)} {fate}", ""]
            for one in chosen:
                lines += [*_details(one), ""]
    return "\n".join(lines).rstrip() + "\n"


def table(found: Measurement) -> list[str]:
    """Return the rows of a Markdown table: a row for each function, and the sum."""
    rows = [f"| function | mutants | {' | '.join(_COLUMNS)} |", f"|---|{'---:|' * (len(_COLUMNS) + 1)}"]
    for name in dict.fromkeys(one.mutant.function for one in found.judged):
        rows.append(_row(f"`{name}`", [one for one in found.judged if one.mutant.function == name]))
    return [*rows, _row("all", found.judged)]


def rates(found: Measurement) -> list[str]:
    """Return the kill rate in sentences."""
    rate = Rate.of(one.result.fate for one in found.judged)
    red = rate.share(Fate.KILLED, Fate.NOTICED, Fate.INCONCLUSIVE)
    strict = rate.share(Fate.KILLED, Fate.NOTICED)
    return [
        f"kill rate: {rate.counts[Fate.KILLED]} of {rate.counted} mutants that are not equivalent, "
        f"{rate.share(Fate.KILLED):.1%}",
        f"with --strict-observed: {strict:.1%}; with those that leave KVM without a result: {red:.1%}",
    ]


def as_json(found: Measurement, arch: str) -> dict[str, Any]:
    """Return the report for programs."""
    rate = Rate.of(one.result.fate for one in found.judged)
    return {
        "arch": arch,
        "original": found.original,
        "failing": sorted(c for c, status in found.verdicts.statuses.items() if status == "FAIL"),
        "counts": {str(fate): number for fate, number in rate.counts.items()},
        "counted": rate.counted,
        "kill_rate": round(rate.share(Fate.KILLED), 4),
        "absent": list(found.absent),
        "beside": others.as_json(found),
        "mutants": [_as_json(one) for one in found.judged],
    }


def _as_json(one: Judged) -> dict[str, Any]:
    mutant, result = one.mutant, one.result
    return {
        "key": mutant.key,
        "file": mutant.file,
        "function": mutant.function,
        "line": mutant.line,
        "operator": mutant.operator,
        "before": mutant.before,
        "after": mutant.after,
        "fate": str(result.fate),
        "reason": result.reason,
        "killers": list(result.killers),
        "noticed": list(result.noticed),
        "missed": list(result.missed),
        "skipped": list(result.skipped),
        "diff": mutant.diff,
        "seconds": one.seconds,
        "beside": {
            name: {
                "fate": str(said.fate),
                "reason": said.reason,
                "killers": list(said.killers),
                "missed": list(said.missed),
            }
            for name, said in one.beside.items()
        },
    }


def matrix(found: Measurement) -> str:
    """Return the matrix of mutants and claims as tab-separated values: F for FAIL, D for DONE, M for no result."""
    columns = sorted(
        {
            claim
            for one in found.judged
            for claim in (*one.result.killers, *one.result.noticed, *one.result.missed, *others.killers(one))
        }
    )
    lines = ["\t".join(["mutant", "function", "line", "operator", "fate", *map(_short, columns)])]
    for one in found.judged:
        marks = {
            **dict.fromkeys(one.result.missed, "M"),
            **dict.fromkeys(one.result.noticed, "D"),
            **dict.fromkeys((*one.result.killers, *others.killers(one)), "F"),
        }
        mutant = one.mutant
        head = [mutant.key, mutant.function, str(mutant.line), mutant.operator, str(one.result.fate)]
        lines.append("\t".join([*head, *(marks.get(claim, "") for claim in columns)]))
    return "\n".join(lines) + "\n"


def _row(name: str, chosen: Sequence[Judged]) -> str:
    rate = Rate.of(one.result.fate for one in chosen)
    cells = [name, str(len(chosen)), *(str(rate.counts[fate]) for fate in _COLUMNS)]
    return f"| {' | '.join(cells)} |"


def _details(one: Judged) -> Iterable[str]:
    mutant, result = one.mutant, one.result
    yield f"{mutant.key} {mutant.file}:{mutant.line} {mutant.function}: {mutant.operator}"
    if result.reason:
        yield f"  {result.reason}"
    if result.noticed:
        yield f"  DONE: {', '.join(map(_short, result.noticed))}"
    if result.missed:
        yield f"  without a result: {', '.join(map(_short, result.missed[:5]))}{'…' if len(result.missed) > 5 else ''}"
    yield from mutant.diff.splitlines()


def _short(claim: str) -> str:
    return claim.removeprefix(f"{PREFIX}.")
