"""From a claim to its verdict: a failure counts if it is seen again, in a guest that is booted for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sysevent.contract.claim import Claim
from sysevent.contract.confirmation import Sighting, difference, is_confirmed, unconfirmed, words
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.decode.structs import Layout
from sysevent.engine.asker import Asker
from sysevent.engine.btf import kvm_run
from sysevent.errors import LeaseLost, SyseventError, Unconfirmed
from sysevent.model import Status, Verdict
from sysevent.plugin import evidence, options
from sysevent.plugin.case import Case, HeadersOf
from sysevent.plugin.run import Run
from sysevent.text import one_line


class FirstSource:
    """The evidence of the fixtures, which all tests of a target share."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def guest(self) -> Asker:
        """See evidence.Source."""
        found: Asker = self._request.getfixturevalue("guest")
        return found

    def btf(self) -> Layout:
        """See evidence.Source."""
        found: Layout = self._request.getfixturevalue("btf")
        return found

    def headers(self) -> HeaderFacts:
        """See evidence.Source."""
        found: HeaderFacts = self._request.getfixturevalue("headers")
        return found


class SecondSource:
    """The same evidence, obtained again: from another guest, and nothing from a cache."""

    def __init__(self, request: pytest.FixtureRequest, run: Run) -> None:
        self._first = FirstSource(request)
        self._request = request
        self._run = run

    def guest(self) -> Asker:
        """See evidence.Source. Booted at the first call for a target."""
        return self._run.second(self._first.guest())

    def btf(self) -> Layout:
        """See evidence.Source."""
        return kvm_run(self.guest(), None)

    def headers(self) -> HeaderFacts:
        """See evidence.Source."""
        target: HeadersOf = self._request.getfixturevalue("target")
        return evidence.header_facts(target, self._run, cached=False)


def judge(claim: Claim[Any], case: Case, request: pytest.FixtureRequest, run: Run) -> Verdict:
    """Ask a kernel, judge its answer, and fill the case with the verdict.

    NotApplicable when the claim does not apply. Unconfirmed when it fails once, and not a second time, or cannot be
    asked a second time. Under --gdb, which boots one guest only, a failure is not asked again.
    """
    terms = options.terms(request.config)
    first = evidence.gather(claim, case, FirstSource(request), terms, run)
    case.evidence, case.verdict = first.evidence, first.verdict
    if not first.failed:
        return first.verdict
    case.confirmed = 1
    if not run.settings.debug:
        again = msgspec.structs.replace(case)
        _confirm(
            case, first, lambda: evidence.gather(claim, again, SecondSource(request, run), terms, run), run
        )
        case.confirmed = 2
    return first.verdict


def _confirm(case: Case, first: Sighting, look_again: Callable[[], Sighting], run: Run) -> None:
    """Return if a failure is seen again. Otherwise the verdict is MISS, and Unconfirmed is raised."""
    try:
        second = look_again()
        if is_confirmed(first, second):
            return
        reason = unconfirmed(difference(first, second))
    except LeaseLost:
        raise
    except SyseventError as error:
        reason = unconfirmed(f"{words(first.verdict)}, and could not be asked again: {one_line(error)}")
    case.verdict = msgspec.structs.replace(first.verdict, status=Status.MISS, reason=reason, mismatches=())
    run.record_incident(case.target, f"{case.target}: {first.verdict.test}: {reason}")
    raise Unconfirmed(reason)
