"""Checks of what a user of a real VMM sees of an event. No I/O."""

from __future__ import annotations

import msgspec

from sysevent.contract.exit_claim import ExitClaim
from sysevent.decode.outcome import Outcome
from sysevent.decode.printed_outcome import GOES_ON, outcome
from sysevent.decode.vcpu_exits import last_exit
from sysevent.model import Mismatch, Observation
from sysevent.text import escape_line


class Shows(msgspec.Struct, frozen=True):
    """The VMM reports exactly these events, and then this is true of its guest and of itself."""

    # "RESET guest-reset", in order.
    events: tuple[str, ...] = ()
    # True: the guest starts again, in the same memory.
    again: bool = False
    # What the guest's call returns, as a register holds it; None: it does not return.
    returned: int | None = None
    # True: the guest's call raises a fault.
    refused: bool = False
    # What the VMM says of its guest afterwards; "": it has ended.
    state: str = ""
    # Of the VMM; None: it goes on with its guest, until it is killed.
    exit_code: int | None = 0
    # Members of the events' data.
    data: dict[str, str] = {}
    # The name of the claim about what the kernel writes then, without the architecture; "" if there is none.
    beside: str = ""
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        """See Check in checks.py. Raises what outcome() raises: then nothing is known about the kernel."""
        wanted = {
            "events": ", ".join(self.events) or "none",
            "guest started again": _answer(self.again),
            "returned": _number(self.returned),
            "fault": _answer(self.refused),
            "state": self.state or "ended",
            "VMM ended": GOES_ON if self.exit_code is None else f"exit code {self.exit_code}",
            **self.data,
        }
        if not seen.answers:
            return _different(wanted, {})
        found = outcome(seen)
        got = {
            "events": found.happened,
            "guest started again": _answer(found.restarted),
            "returned": _number(found.returned),
            "fault": _answer(found.refused),
            "state": found.state or "ended",
            "VMM ended": found.ended,
            **{key: _member(found, key) for key in self.data},
        }
        return _different(wanted, got)


class Gets(msgspec.Struct, frozen=True):
    """A VMM on rust-vmm's kvm-ioctls gets exactly this exit from the library."""

    exit: str
    # Of a system event.
    type: int | None = None
    data: tuple[int, ...] = ()
    beside: str = ""
    gate: bool = False

    def mismatches(self, seen: Observation) -> list[Mismatch]:
        """See Check in checks.py. Raises what last_exit() raises: then nothing is known about the kernel."""
        wanted = {"exit": self.exit, "type": _shown(self.type), "data": _list(self.data)}
        if not seen.answers:
            return _different(wanted, {})
        found = last_exit(seen)
        if found.panic:
            return _different({"exit": self.exit}, {"exit": f"panic: {found.panic}"})
        return _different(wanted, {"exit": found.exit, "type": _shown(found.type), "data": _list(found.data)})


def _different(wanted: dict[str, str], got: dict[str, str]) -> list[Mismatch]:
    """Return the fields that differ; all of them without a run."""
    return [
        Mismatch(what, value, escape_line(got.get(what, "no run was recorded")))
        for what, value in wanted.items()
        if got.get(what) != value
    ]


def _shown(value: int | None) -> str:
    return "none" if value is None else str(value)


def _list(values: tuple[int, ...]) -> str:
    return "[" + ", ".join(f"{value:#x}" for value in values) + "]"


def outcome_of(claim: ExitClaim, seen: Observation) -> Outcome:
    """Return what a user saw in the scenario of a claim about a real VMM; raises what its checks raise."""
    if any(isinstance(check, Gets) for check in claim.gives):
        return last_exit(seen).outcome()
    return outcome(seen)


def beside(claim: ExitClaim) -> str:
    """Return the name of the claim about the same event that our own VMM asks; "" if there is none."""
    found = next((check.beside for check in claim.gives if isinstance(check, Shows | Gets)), "")
    return f"{claim.arch}.{found}" if found else ""


def _answer(value: bool) -> str:
    return "yes" if value else "no"


def _number(value: int | None) -> str:
    return "no" if value is None else f"{value:#x}"


def _member(found: Outcome, key: str) -> str:
    values = [event.data[key] for event in found.events if key in event.data]
    return ", ".join(values) or "none"
