"""The page of a difference: what two runs or kernels give differently. No I/O but its templates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from sysevent.report.difference import Difference, RunComparison
from sysevent.report.difference_text import joined
from sysevent.report.html import assets

STYLES = ("base.css", "matrix.css", "difference.css", "media.css")
SCRIPTS = ("theme.js",)


def render(found: RunComparison, names: tuple[str, str], releases: Sequence[Mapping[str, str]]) -> str:
    """Return the page. names: both runs, as they were given. releases: for each, its kernels by target."""
    groups = itertools.groupby(joined(found.differences), lambda one: (one.target, one.scenario))
    sections = [_section(target, scenario, list(group)) for (target, scenario), group in groups]
    count = len(found.differences)
    values = {
        "sentence": f"{count} difference{'' if count == 1 else 's'} in {len(sections)} places."
        if count
        else f"Nothing differs in {found.compared} scenarios.",
        "names": names,
        "releases": releases,
        "compared": found.compared,
        "sections": sections,
        "notes": found.notes,
    }
    return assets.fill("difference.html", values, data={}, styles=STYLES, scripts=SCRIPTS)


def _section(target: str, scenario: str, differences: Sequence[Difference]) -> dict[str, Any]:
    rows = [
        {
            "label": "" if one.label == "exit" else one.label,
            "what": one.what,
            "bytes": f"{one.span[0]}..{one.span[1] - 1}" if one.span else "",
            "before": one.before,
            "after": one.after,
        }
        for one in differences
    ]
    return {"target": target, "scenario": scenario or "what the target reports of itself", "rows": rows}
