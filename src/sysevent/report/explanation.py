"""One claim in words: what is asked, what must come back, why, and since when. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sysevent.contract.checks import Check
from sysevent.contract.claim import Claim
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.terms import version
from sysevent.decode.event import decode
from sysevent.model import Observation, RawExit
from sysevent.scenario import description


def lines(claim: Claim[Any], programs: dict[str, str], recorded: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the explanation.

    programs: the assembly of each payload that the claim's scenario loads, by name. recorded: what kernels gave that
    were asked before, one line each.
    """
    yield claim.name
    yield f"  {claim.says}"
    yield ""
    yield f"level    {claim.level}: {LEVELS[claim.level]}"
    yield f"source   {claim.source}"
    if isinstance(claim, ExitClaim):
        yield from _of_an_exit(claim, programs)
    if recorded:
        yield ""
        yield "recorded kernels"
        yield from (f"  {line}" for line in recorded)
    yield ""
    arch = f" --arch {claim.arch}" if isinstance(claim, ExitClaim) else ""
    # By the words of its name behind the architecture, which pytest searches in the names of tests.
    yield f"run it   sysevent run{arch} -- -k '{claim.name.partition('.')[2]}'"


def exit_line(raw: RawExit, seen: Observation) -> str:
    """Return an exit of an observation in a few words: "24 (SYSTEM_EVENT) type 2 (RESET) ndata 1 data[0] 0x1"."""
    return "ended by a signal" if raw.kicked else str(decode(raw, seen.arch)).removeprefix("exit ")


# What a level means for a reader.
LEVELS = {
    "abi": "the kernel's documentation promises it; a change is FAIL",
    "observed": "today's behaviour, which is not promised; a change is DONE, and FAIL under --strict-observed",
}


def _of_an_exit(claim: ExitClaim, programs: dict[str, str]) -> Iterator[str]:
    for need in claim.needs:
        since = f", required since v{version(need.since)}" if need.since else ""
        yield f"needs    {'no ' if need.absent else ''}{need.words}{since}"
    if claim.abi:
        yield f"ABI      only VMMs of {claim.abi}"
    for name, value in claim.dimensions.items():
        yield f"{name:<8} {value}"
    yield ""
    yield "what the VMM does"
    yield from (f"  {line}" for line in description.lines(claim.asks))
    yield ""
    yield "what must come back"
    yield from (f"  {line}" for line in expected(claim.gives, claim.asks.name))
    if claim.before_5_18 is not None:
        yield "what must come back from a kernel without KVM_CAP_SYSTEM_EVENT_DATA"
        yield from (f"  {line}" for line in expected(claim.before_5_18, claim.asks.name))
    for name, text in programs.items():
        yield ""
        yield f"the payload {name!r}"
        yield from (f"  {line}".rstrip() for line in text.expandtabs(8).splitlines())


def expected(checks: Sequence[Check], scenario: str) -> Iterator[str]:
    """Yield what each check expects. A check that finds nothing wrong without an exit gives its docstring."""
    nothing = Observation(scenario, scenario.partition(".")[0], "", {}, {}, {})
    for check in checks:
        found = check.mismatches(nothing)
        if found:
            yield from (f"{wrong.what}: {wrong.expected}" for wrong in found)
        else:
            doc = (type(check).__doc__ or type(check).__name__).partition("\n")[0]
            yield f"{getattr(check, 'label', '')}: {doc}".removeprefix(": ").removeprefix("exit: ")
