"""A bar chart of milestones as SVG, written here because a plotting library of 50 MB for one chart is too much."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from sysevent.bench.samples import Samples

# Pixels.
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 190, 560, 16, 6, 40
_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#edc948")


def svg(title: str, groups: Mapping[str, Mapping[str, Samples]], unit: str = "s") -> str:
    """The text of an SVG file with one bar for each quantity of each group.

    A bar ends at the median, which is printed after it; a line goes from the smallest to the largest value.
    """
    bars = [(group, name, found) for group, row in groups.items() for name, found in row.items()]
    most = max((found.spread[1] for _, _, found in bars), default=1.0) or 1.0
    colours = dict(zip(dict.fromkeys(name for _, name, _ in bars), _COLOURS * 9, strict=False))
    parts = [f'<text x="10" y="22" font-size="15">{escape(title)}</text>']
    y, last = _TOP, ""
    for group, name, found in bars:
        y += _GAP * 2 if last and group != last else 0
        scale = _WIDTH / most
        low, high = (value * scale for value in found.spread)
        width, middle = found.median * scale, y + _BAR / 2
        label = f"{group} {name}"
        parts += [
            f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colours[name]}"/>',
            f'<path d="M{_LEFT + low:.1f} {middle}H{_LEFT + high:.1f}" stroke="#222"/>',
            f'<text x="{_LEFT + high + 6:.1f}" y="{y + 12}">{found.median:.3g} {unit}</text>',
        ]
        y, last = y + _BAR + _GAP, group
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 90}" height="{y + 10}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(parts)
        + "</svg>\n"
    )
