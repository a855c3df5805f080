"""The ladder of fixtures: target (what), guest (booted), check (asked and judged)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sysevent import tracebacks
from sysevent.cache import Cache
from sysevent.contract.claim import Claim
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.decode.structs import Layout
from sysevent.engine.asker import Asker
from sysevent.engine.btf import kvm_run
from sysevent.errors import HarnessError, NotApplicable, UsageError, WrongArchitecture, of_this_machine
from sysevent.hosts.openers import obstacle
from sysevent.model import Facts, Status
from sysevent.plugin import confirmation, early, evidence, order
from sysevent.plugin.case import CASE, HeadersOf, case_of, target_of, targets_of
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
        _give_parameters(item)
    _check_lease(item)


def _give_parameters(item: pytest.Item) -> None:
    """Give a test of a claim its parameters. Otherwise pytest obtains each as it does fixtures, in 0.1 ms."""
    if isinstance(item, pytest.Function):
        item.funcargs.update(item.callspec.params)


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
    lacks = obstacle(target, request.config.getoption("kernel"))
    if lacks:
        pytest.skip(lacks)
    run = _run(request.session)
    found = run.guest(target)
    asked = False
    try:
        facts = found.facts()
        run.check(target)
        run.record_target(found, facts)
        asked = True
        yield found
    except (NotApplicable, WrongArchitecture) as error:
        pytest.skip(str(error))
    finally:
        # Also if it was lost: another guest waits for its slot.
        stopping = bool(request.session.shouldstop or request.session.shouldfail)
        if not (asked and order.returns_to(request.config, target, stopping=stopping)):
            run.done(found)


@pytest.fixture(scope="session")
def facts(guest: Asker) -> Facts:
    """What the target's kernel says of itself."""
    return guest.facts()


@pytest.fixture(scope="session")
def headers(request: pytest.FixtureRequest, target: HeadersOf) -> HeaderFacts:
    """What one kernel's headers mean to one ABI, in a test of headers."""
    try:
        return evidence.header_facts(target, _run(request.session))
    except NotApplicable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def btf(request: pytest.FixtureRequest, guest: Asker) -> Layout:
    """struct kvm_run, and what it holds, in the BTF of the running kernel, or of its module kvm."""
    try:
        found = kvm_run(guest, Cache(_run(request.session).settings.cache))
    except NotApplicable as error:
        pytest.skip(f"{error}: it takes CONFIG_DEBUG_INFO_BTF, for a module CONFIG_DEBUG_INFO_BTF_MODULES")
    if not found.structs:
        pytest.skip("the running kernel's BTF has no struct kvm_run")
    return found


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Callable[[Claim[Any]], None]:
    """check(claim): ask the kernel and judge its answer. Fails when the claim is broken, skips when it does not apply.

    One claim a test: the verdict of the test is that claim's. HarnessError when a test checks another one, or twice.
    """
    case, run = request.node.stash[CASE], _run(request.session)

    def judge(checked: Claim[Any]) -> None:
        __tracebackhide__ = True
        if checked is not case.claim or case.checked:
            raise HarnessError("a test checks its `claim`, and checks it once")
        case.checked = True
        try:
            verdict = confirmation.judge(checked, case, request, run)
        except NotApplicable as error:
            pytest.skip(str(error))
        if verdict.status is Status.FAIL:
            raise ClaimBroken(verdict.reason)

    return judge
