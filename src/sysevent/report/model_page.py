"""The documentation of the model, docs/model.md, made from its rules and its actions.

python -m sysevent.report.model_page > docs/model.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sysevent.arches import ARCHITECTURES
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.rules import Rule

_HEAD = """# The rules of the model

What KVM may answer to any sequence of calls of guests and actions of a VMM, on one to four vCPUs, as
[`sysevent explore`](explore.md) checks it. The [reference](abi.md) shows each event by itself; these rules say what
comes before and after it, and between vCPUs.

Where a rule leaves the kernel free, the model follows every possibility. What a kernel has is asked of the kernel: its
capabilities, its latest version of PSCI, its SBI extensions. The model is in `src/sysevent/conformance/`; a rule is
applied where its name is used there.

This page is made by `python -m sysevent.report.model_page > docs/model.md`.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *(line for name in CONTRACTS for line in _section(name))])


def _section(name: str) -> Iterator[str]:
    rules = list(CONTRACTS[name].rules)
    yield f"## {ARCHITECTURES[name].name}, {len(rules)} rules\n"
    yield "| rule | what KVM does | source |"
    yield "|---|---|---|"
    yield from map(_row, rules)
    yield ""


def _row(rule: Rule) -> str:
    says, source = (text.replace("|", "\\|") for text in (rule.says, rule.source))
    return f"| `{rule.name}` | {says} | {source} |"


if __name__ == "__main__":
    sys.stdout.write(page())
