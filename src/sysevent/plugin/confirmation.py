"""From a claim to its verdict: a failure counts if it is seen again, in a guest that is booted for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sysevent.cache import Cache
from sysevent.contract.claim import Claim
from sysevent.contract.confirmation import Agreement, Sighting, agreement, difference, unconfirmed, words
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.decode.structs import Layout
from sysevent.engine.asker import Asker
from sysevent.errors import EventUnasked, LeaseLost, SyseventError, Unconfirmed
from sysevent.model import Status, Verdict
from sysevent.plugin import evidence, guests, options, unasked
from sysevent.plugin.case import Case, HeadersOf
from sysevent.plugin.run import Run
from sysevent.targets.spec import TargetSpec
from sysevent.text import one_line


class FirstSource:
    """The evidence that all tests of a target share."""

    def __init__(self, target: TargetSpec | HeadersOf, run: Run) -> None:
        self._target = target
        self._run = run

    def guest(self) -> Asker:
        """See evidence.Source."""
        assert isinstance(self._target, TargetSpec)
        return guests.asked(self._run, self._target)

    def btf(self) -> Layout:
        """See evidence.Source."""
        return evidence.btf(self.guest(), Cache(self._run.settings.cache))

    def headers(self) -> HeaderFacts:
        """See evidence.Source."""
        assert isinstance(self._target, HeadersOf)
        return evidence.header_facts(self._target, self._run)


class SecondSource:
    """The same evidence, obtained again: from another guest, and nothing from a cache."""

    def __init__(self, target: TargetSpec | HeadersOf, run: Run) -> None:
        self._first = FirstSource(target, run)
        self._target = target
        self._run = run

    def guest(self) -> Asker:
        """See evidence.Source. Booted at the first call for a target."""
        return self._run.second(self._first.guest())

    def forget(self, claim: Claim[Any], abi: str) -> None:
        """Let a claim about exits be asked again, instead of being judged by what the guest gave already."""
        if isinstance(claim, ExitClaim):
            self.guest().forget(claim.asks, claim.abi or abi)

    def btf(self) -> Layout:
        """See evidence.Source."""
        return evidence.btf(self.guest(), None)

    def headers(self) -> HeaderFacts:
        """See evidence.Source."""
        assert isinstance(self._target, HeadersOf)
        return evidence.header_facts(self._target, self._run, cached=False)


def judge(claim: Claim[Any], case: Case, target: TargetSpec | HeadersOf, run: Run) -> Verdict:
    """Ask a kernel, judge its answer, and fill the case with the verdict.

    NotApplicable when the claim does not apply. Unconfirmed when it fails once, and not a second time, or cannot be
    asked a second time. EventUnasked for any claim but the one about it. Under --gdb, which boots one guest only, a
    failure is not asked again.
    """
    terms = options.terms(run.config)
    try:
        first = evidence.gather(claim, case, FirstSource(target, run), terms, run)
    except EventUnasked as error:
        # All guests that were tried gave it.
        return unasked.judge(claim, case, error, run.started(case.target))
    case.evidence, case.verdict = first.evidence, first.verdict
    if not first.failed:
        return first.verdict
    case.confirmed = 1
    if not run.settings.debug:
        again, source = msgspec.structs.replace(case), SecondSource(target, run)

        def look(repeat: bool) -> Sighting:
            if repeat:
                source.forget(claim, case.abi)
            return evidence.gather(claim, again, source, terms, run)

        _confirm(case, first, look, run)
        case.confirmed = 2
    return first.verdict


def _confirm(case: Case, first: Sighting, look: Callable[[bool], Sighting], run: Run) -> None:
    """Return if a failure is seen again. Otherwise the verdict is MISS, and Unconfirmed is raised.

    look: asks another guest; with True it runs the scenario again. If another value was wrong at the same place, such a
    third sighting decides.
    """
    try:
        second = look(False)
        agreed = agreement(first, second)
        if agreed is Agreement.PLACE:
            agreed = agreement(first, second, third := look(True))
            second = second if agreed is Agreement.PLACE else third
        if agreed is not Agreement.NONE:
            return
        reason = unconfirmed(difference(first, second))
    except LeaseLost:
        raise
    except SyseventError as error:
        reason = unconfirmed(f"{words(first.verdict)}, and could not be asked again: {one_line(error)}")
    case.verdict = msgspec.structs.replace(
        first.verdict, status=Status.MISS, reason=reason, mismatches=(), erratum=""
    )
    run.record_incident(case.target, f"{case.target}: {first.verdict.test}: {reason}")
    raise Unconfirmed(reason)
