"""The bytes of an exit for a page: each with its state, and those that are not as expected marked. No I/O."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping

import msgspec

from sysevent.abi import kvm_run
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.leaks import leaks
from sysevent.decode.event import decode
from sysevent.model import Observation, RawExit
from sysevent.report import records

# A byte that the kernel wrote, or that it does not touch; one that an earlier exit left; one that was not written.
WRITTEN, STALE, POISON = "w", "s", "p"
# The same if the byte is not as expected.
_WRONG = {WRITTEN: "x", STALE: "y", POISON: "q"}

# Ranges with inclusive ends, as contract/checks.py spells them: "32..47, 104..111".
_RANGES = re.compile(r"(\d{1,4})\.\.(\d{1,4})")
# Of contract/leaks.py.
_BYTES = re.compile(r"bytes (\d{1,4})\.\.(\d{1,4}) of kvm_run")
_WRITTEN_BYTES = "written bytes"
# Exits of other vCPUs than the one that causes the event: suites/peers.
_PEER = "peer "


class DrawnExit(msgspec.Struct, frozen=True):
    """One exit as a page draws it."""

    label: str
    # What it is, in words; "" if it is not known.
    words: str
    # Its bytes as pairs of a byte in hexadecimal and how often it follows, and their states likewise.
    head: str
    states: str
    wrong: bool


# Target, ABI, and the bytes of each exit by its label.
_Key = tuple[str, str, tuple[tuple[str, str], ...]]


def _key(target: str, abi: str, heads: Mapping[str, str]) -> _Key:
    return target, abi, tuple(heads.items())


class Observations:
    """The observations of a run, found again by what a verdict holds of them."""

    def __init__(self, run: Iterable[records.Record]) -> None:
        self._found: dict[_Key, dict[str, records.Observation]] = {}
        for record in run:
            if isinstance(record, records.Observation):
                heads = {label: left.head for label, left in record.exits.items()}
                same = self._found.setdefault(_key(record.target, record.abi, heads), {})
                same[record.scenario] = record

    def of(self, verdict: records.Verdict, scenario: str = "") -> records.Observation | None:
        """Return the observation that a verdict rests on; None if the run does not have it.

        scenario: the one that is taken if several have given the same bytes.
        """
        same = self._found.get(_key(verdict.target, verdict.abi, verdict.raw), {})
        return same.get(scenario) or next(iter(same.values()), None)


def drawn(
    verdict: records.Verdict, observation: records.Observation | None, claim: ExitClaim | None
) -> list[DrawnExit]:
    """Return the exits of a verdict, in their order, those with wrong bytes marked."""
    seen = observation.seen() if observation is not None else None
    exits = seen.exits if seen is not None else {}
    judged = _judged_spans(claim, seen)
    found = []
    before: tuple[bytes, str] | None = None
    for label, text in verdict.raw.items():
        head = bytes.fromhex(text)
        raw = exits.get(label)
        written = verdict.written.get(label, ())
        states = _states(head, raw, before, written)
        if not label.startswith(_PEER):
            before = (head, states)
        wrong = _wrong_bytes(verdict, label, judged)
        marked = _marked(states, wrong) if wrong else states
        words = "" if raw is None else _words(raw, verdict, observation)
        found.append(DrawnExit(label, words, _repeated(head), repeated(marked), marked != states))
    return found


def _marked(states: str, wrong: Iterable[int]) -> str:
    found = list(states)
    for at in wrong:
        if at < len(found):
            found[at] = _WRONG[found[at]]
    return "".join(found)


@functools.cache
def _poisoned(poison: int) -> bytes:
    """Return the state of each possible byte, for bytes.translate()."""
    return bytes(ord(POISON if byte == poison else WRITTEN) for byte in range(256))


def _words(raw: RawExit, verdict: records.Verdict, observation: records.Observation | None) -> str:
    arch = observation.arch if observation is not None else verdict.abi
    return "ended by a signal" if raw.kicked else str(decode(raw, arch)).removeprefix("exit ")


def _states(
    head: bytes,
    raw: RawExit | None,
    before: tuple[bytes, str] | None,
    written: tuple[tuple[int, int], ...],
) -> str:
    """Return the state of each byte.

    raw: the exit, None if only the bytes are known. before: bytes and states of the exit before. written: ranges of the
    union, known also without the exit.
    """
    if raw is not None and raw.poison is not None:
        return head.translate(_poisoned(raw.poison)).decode()
    if raw is not None and before is not None:
        last, states = before
        return "".join(
            WRITTEN if byte != old else POISON if state == POISON else STALE
            for byte, old, state in zip(head, last, states, strict=False)
        )
    if not written:
        return WRITTEN * len(head)
    start, end = kvm_run.UNION
    kept = set(range(start, end)) - {at for first, stop in written for at in range(first, min(stop, end))}
    return "".join(POISON if at in kept else WRITTEN for at in range(len(head)))


def _judged_spans(claim: ExitClaim | None, seen: Observation | None) -> dict[str, tuple[int, int]]:
    """Return the bytes of each mismatch that the claim can find in an observation, by its name."""
    if claim is None or seen is None or seen.scenario != claim.asks.name:
        return {}
    wrong = list(leaks(claim.asks, seen))
    for check in (*claim.gives, *(claim.before_5_18 or ())):
        wrong += check.mismatches(seen)
    return {one.what: one.span for one in wrong if one.span}


def _wrong_bytes(
    verdict: records.Verdict, label: str, judged: Mapping[str, tuple[int, int]]
) -> frozenset[int]:
    """Return the bytes of one exit that are not as expected. One without a name of an exit belongs to "exit"."""
    found: set[int] = set()
    for what, expected in verdict.expected.items():
        named, colon, member = what.partition(": ")
        if not colon or named not in verdict.raw:
            named, member = "exit", what
        # Without an exit of that name, bytes are marked in all of them.
        if named == label or named not in verdict.raw:
            found |= _bytes_of(member, expected, verdict.got.get(what, ""), judged.get(what))
    return frozenset(found)


def _bytes_of(member: str, expected: str, got: str, judged: tuple[int, int] | None) -> set[int]:
    """Return the bytes that one mismatch is about; none for a register."""
    if member == _WRITTEN_BYTES:
        return _listed(expected) ^ _listed(got)
    if match := _BYTES.fullmatch(member):
        return set(range(int(match[1]), int(match[2]) + 1))
    if member in kvm_run.FIELDS:
        return set(range(*kvm_run.FIELDS[member].span))
    return set(range(*judged)) if judged else set()


def _listed(text: str) -> set[int]:
    return {at for first, last in _RANGES.findall(text) for at in range(int(first), int(last) + 1)}


# Most exits of a run have the same bytes as another one.
@functools.lru_cache(4096)
def _repeated(head: bytes) -> str:
    """Return bytes as "18x1 00x3": each in hexadecimal, and how often it follows."""
    return " ".join(f"{byte:02x}x{len(list(group))}" for byte, group in itertools.groupby(head))


@functools.lru_cache(4096)
def repeated(states: str) -> str:
    """Return states as "w32p256": each with how often it follows."""
    return "".join(f"{state}{len(list(group))}" for state, group in itertools.groupby(states))
