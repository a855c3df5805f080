"""What every claim has, whatever it is judged on; and how a file in suites/ hands its claims to its tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sysevent.model import Level, Verdict

# The beginning of every claim's name in run.jsonl. kcidb-io takes names of [A-Za-z0-9_-] and dots.
PREFIX = "kvm.system_event"

_Evidence = TypeVar("_Evidence", contravariant=True)
_Test = TypeVar("_Test", bound=Callable[..., Any])


class Claim(Protocol[_Evidence]):
    """One thing that must hold: ExitClaim is judged on what a guest's exits gave, LayoutClaim on headers."""

    @property
    def name(self) -> str:
        """The name that a user selects it by: "arm64.psci.off"."""

    @property
    def says(self) -> str:
        """What must hold, in one sentence."""

    @property
    def level(self) -> Level:
        """How much the kernel promised."""

    @property
    def source(self) -> str:
        """The kernel document or code path that it rests on, with the commit."""

    def test(self, abi: str) -> str:
        """Its name in run.jsonl when a program of this ABI asks."""

    def judge(self, evidence: _Evidence) -> Verdict:
        """The verdict on one target, with every mismatch. No I/O."""


class Claims(tuple[Claim[Any], ...]):
    """The claims of one file in suites/, in the order in which they are shown."""

    __slots__ = ()

    def each(self, test: _Test) -> _Test:
        """Decorate a test: it runs once for each of these claims, on each target that the claim is about.

        The test takes the fixtures `check` and `claim`.
        """
        test.claims = self  # type: ignore[attr-defined]  # read by plugin/selection.py
        return test


def claims(*rows: Claim[Any]) -> Claims:
    """The claims of one file."""
    return Claims(rows)


def of_test(test: object) -> Claims | None:
    """The claims that a test function was decorated with; None for a test that checks none."""
    found = getattr(test, "claims", None)
    return found if isinstance(found, Claims) else None
