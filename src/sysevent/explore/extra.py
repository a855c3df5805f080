"""Hypothesis, which draws sequences: the extra `explore` installs it. ToolMissing without it, on import."""

from __future__ import annotations

from sysevent.checkout import with_extra
from sysevent.errors import ToolMissing

try:
    import hypothesis
    from hypothesis import HealthCheck, Phase, strategies
except ImportError as missing:
    raise ToolMissing(
        f"hypothesis is not installed, which draws the sequences: {with_extra('explore')}"
    ) from missing

__all__ = ["HealthCheck", "Phase", "hypothesis", "strategies"]
