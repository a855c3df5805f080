"""What a check of the doctor found, and its line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    subject: str
    ok: bool
    found: str  # one line
    fix: str = ""  # when it is not ok: what to do
    needed: bool = True  # by the main job on TCG targets; what is not needed never fails the doctor


def render(finding: Finding) -> str:
    """The line of a finding, and a second one that says how to fix it."""
    word = "ok" if finding.ok else "missing" if finding.needed else "no"
    line = f"{word:8}{finding.subject:22}{finding.found}"
    return line if finding.ok or not finding.fix else f"{line}\n{'':30}fix: {finding.fix}"
