"""The ladder of fixtures: target (what), guest (booted), check (asked and judged).

Tests of claims get what they ask for without pytest's fixtures, which take 0.1 ms each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sysevent import tracebacks
from sysevent.cache import Cache
from sysevent.contract.claim import Claim
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.decode.structs import Layout
from sysevent.engine.asker import Asker
from sysevent.errors import HarnessError, NotApplicable, UsageError, of_this_machine
from sysevent.model import Facts, Status
from sysevent.plugin import confirmation, early, evidence, guests
from sysevent.plugin.case import CASE, HeadersOf, asked_of, case_of, target_of, targets_of
from sysevent.plugin.run import RUN, Run
from sysevent.targets.spec import TargetSpec

_NO_RESULTS = "no place for the results of this run"


class ClaimBroken(AssertionError):
    """A kernel does not keep what a claim says. The report is made from the verdict, not from this."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Create the case that takes the verdict; LeaseLost if the target's lease has ended."""
    case = case_of(item)
    if case is not None:
        item.stash[CASE] = case
        if isinstance(item, pytest.Function):
            item.funcargs.update(item.callspec.params, check=_judge_of(item))
    _check_lease(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Discard the outcome if the target's lease ended during the test."""
    try:
        return (yield)
    finally:
        _check_lease(item)


def _check_lease(item: pytest.Item) -> None:
    spec = target_of(item)
    if spec is not None and RUN in item.config.stash:
        item.config.stash[RUN].check(spec)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> TargetSpec | HeadersOf:
    """The place whose kernel is asked, or the headers that are; the test's id names it."""
    found: TargetSpec | HeadersOf = request.param
    return found


def _run(session: pytest.Session) -> Run:
    """This session's results, log and guests. A fixture would cost more time for each test."""
    config = session.config
    if RUN not in config.stash:
        try:
            config.stash[RUN] = _begun(session)
        # Both end the session at once, not each of its tests.
        except (UsageError, pytest.UsageError) as error:
            pytest.exit(f"{_NO_RESULTS}: {tracebacks.reason(error)}", pytest.ExitCode.USAGE_ERROR)
        except OSError as error:
            failed = of_this_machine(_NO_RESULTS, error)
            pytest.exit(tracebacks.reason(failed), pytest.ExitCode.INTERNAL_ERROR)
    return config.stash[RUN]


def _begun(session: pytest.Session) -> Run:
    """The run of a session, which knows its tests."""
    # A worker of pytest-xdist runs some of its tests; which ones is not known yet.
    items = () if hasattr(session.config, "workerinput") else session.items
    # A lab machine is leased when it is needed: another run may use it until then.
    run = early.taken(session.config) or Run(
        session.config, [spec for spec in targets_of(items) if spec.booted]
    )
    run.foresee(session.items)
    return run


@pytest.fixture(scope="session")
def guest(request: pytest.FixtureRequest, target: TargetSpec) -> Iterator[Asker]:
    """The target, booted, with its facts read."""
    run = _run(request.session)
    with _skipping():
        found = guests.asked(run, target)
    with guests.held(run, target):
        yield found


@pytest.fixture(scope="session")
def facts(guest: Asker) -> Facts:
    """What the target's kernel says of itself."""
    return guest.facts()


@pytest.fixture(scope="session")
def headers(request: pytest.FixtureRequest, target: HeadersOf) -> HeaderFacts:
    """What one kernel's headers mean to one ABI, in a test of headers."""
    with _skipping():
        return evidence.header_facts(target, _run(request.session))


@pytest.fixture(scope="session")
def btf(request: pytest.FixtureRequest, guest: Asker) -> Layout:
    """struct kvm_run, and what it holds, in the BTF of the running kernel, or of its module kvm."""
    with _skipping():
        return evidence.btf(guest, Cache(_run(request.session).settings.cache))


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Callable[[Claim[Any]], None]:
    """check(claim): ask the kernel and judge its answer. Fails when the claim is broken, skips when it does not apply.

    One claim a test: the verdict of the test is that claim's. HarnessError when a test checks another one, or twice.
    """
    if CASE not in request.node.stash:
        pytest.fail(
            "`check` judges the `claim` of a test that is decorated with claims(...).each", pytrace=False
        )
    return _judge_of(request.node)


def _judge_of(item: pytest.Function) -> Callable[[Claim[Any]], None]:
    """The `check` of a test of a claim."""
    case, asked = item.stash[CASE], asked_of(item)
    assert asked is not None

    def judge(checked: Claim[Any]) -> None:
        __tracebackhide__ = True
        if checked is not case.claim or case.checked:
            raise HarnessError("a test checks its `claim`, and checks it once")
        case.checked = True
        with _skipping():
            verdict = confirmation.judge(checked, case, asked, _run(item.session))
        if verdict.status is Status.FAIL:
            raise ClaimBroken(verdict.reason)

    return judge


@contextlib.contextmanager
def _skipping() -> Iterator[None]:
    """Skip the test if what it asks for does not apply."""
    try:
        yield
    except NotApplicable as error:
        pytest.skip(str(error))
