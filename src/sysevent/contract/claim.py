"""What every claim has; and how a file in suites/ connects its claims with a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sysevent.model import Level, Verdict

# The beginning of every claim's name in run.jsonl. kcidb-io takes names of [A-Za-z0-9_-] and dots.
PREFIX = "kvm.system_event"

_Evidence = TypeVar("_Evidence", contravariant=True)
_Test = TypeVar("_Test", bound=Callable[..., Any])


class Claim(Protocol[_Evidence]):
    """A claim about a kernel. Each kind has evidence of its own: ExitClaim, LayoutClaim and LogClaim."""

    @property
    def name(self) -> str:
        """The name that a user selects the claim by: "arm64.psci.off"."""

    @property
    def says(self) -> str:
        """What must hold, in one sentence."""

    @property
    def level(self) -> Level:
        """Whether the kernel's documentation promises it (ABI), or we only observed it (OBSERVED)."""

    @property
    def source(self) -> str:
        """The kernel document or code path that promises it, with the commit."""

    def test(self, abi: str) -> str:
        """Return its name in run.jsonl for programs of this ABI."""

    def judge(self, evidence: _Evidence) -> Verdict:
        """Return the verdict on one target, with every mismatch. Does no I/O."""


class Claims(tuple[Claim[Any], ...]):
    """Claims of one file in suites/, in the order in which they are shown."""

    __slots__ = ()

    def each(self, test: _Test) -> _Test:
        """Decorate a test so that it runs once for each of these claims, on each target that the claim is about.

        The test takes the fixtures `check` and `claim`, and calls `check(claim)`.
        """
        # plugin/selection.py reads it.
        test.claims = self  # type: ignore[attr-defined]
        return test


def claims(*rows: Claim[Any]) -> Claims:
    """Return these claims as those of one test."""
    return Claims(rows)


def of_test(test: object) -> Claims | None:
    """Return the claims that a test function was decorated with, or None."""
    found = getattr(test, "claims", None)
    return found if isinstance(found, Claims) else None
