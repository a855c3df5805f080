"""The documentation of the errata, docs/errata.md, made from the table in contract/errata.py.

python -m sysevent.report.errata_page > docs/errata.md
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sysevent.contract.errata import ERRATA, KNOWN
from sysevent.contract.erratum import Erratum
from sysevent.contract.kernel_release import Releases

_HEAD = f"""# Errata: known defects of kernels

Each is a defect that released kernels have, and that this suite shows. A claim that fails on such a kernel exactly as
its erratum says is DONE, and its reason begins with `{KNOWN}, erratum`: the run does not fail. With `--strict-errata`
it is FAIL, seen in two guests as every FAIL, and `sysevent bisect --strict-errata` finds the commit behind it.

It is FAIL in any case

- if another field is wrong, or has another value, or if one field of the erratum is right;
- on a kernel whose release is not in the range of the erratum, or does not say whether it is: a release candidate of
  the release with the repair, a vendor's kernel without its patch level (`6.6.0-50-generic`) of a series with a repair
  in a patch level, a text that is not a release;
- in another [mode of KVM](lab.md#the-mode-of-kvm) than that of the erratum, or in one that is not known;
- on a kernel that must have the repair because of `--floor`.

A claim that passes although its erratum says that it fails is PASS, its reason says so, and so does the end of the
report: the kernel has the repair, and the table should have its release.

This page is made from the table in `src/sysevent/contract/errata.py`, by
`python -m sysevent.report.errata_page > docs/errata.md`.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *(line for one in ERRATA for line in _section(one))])


def _section(one: Erratum) -> list[str]:
    return [
        f"## {one.id}\n",
        f"{one.says[0].upper()}{one.says[1:]}.\n",
        "| | |",
        "|---|---|",
        f"| claims | {_code(one.claims)}{f', for VMMs of {one.abi}' if one.abi else ''} |",
        f"| has it | {_releases(one.since)}{_mode(one)} |",
        f"| has the repair | {_releases(one.fixed) or 'no release'} |",
        f"| seen on | {', '.join(one.seen)} |",
        f"| source | {one.source} |",
        f"| repair | {one.fix} |",
        "",
        "What fails, and how:\n",
        *(f"- `{each.what}`: `{each.got}`" for each in one.fails),
        "",
        "```text",
        one.evidence,
        "```\n",
    ]


def _mode(one: Erratum) -> str:
    """Return the mode of KVM that the erratum is about in words; "" for every mode."""
    return (
        f", with {', '.join(f'`{name}` `{value}`' for name, value in one.mode.items())}" if one.mode else ""
    )


def _code(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _releases(changed: Releases) -> str:
    """Return releases in words: "6.6 from 6.6.92, 6.12 from 6.12.29, and all series from 6.15"."""
    shown = [
        f"{one[0]}.{one[1]} from {'.'.join(map(str, one))}"
        if len(one) > 2
        else f"all series from {one[0]}.{one[1]}"
        for one in changed
    ]
    return ", ".join(shown[:-1]) + (", and " if len(shown) > 1 else "") + "".join(shown[-1:])


if __name__ == "__main__":
    sys.stdout.write(page())
