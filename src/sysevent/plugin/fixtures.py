"""The ladder of fixtures: target (what), guest (booted), probe and expected (asked and judged)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sysevent.contract import judge, table
from sysevent.contract.judge import Expectation
from sysevent.engine.guest import Guest
from sysevent.errors import NotApplicable
from sysevent.hosts.kinds import obstacle
from sysevent.images.kernel.resolve import WrongArchitecture
from sysevent.model import Facts, Observation
from sysevent.plugin import options
from sysevent.plugin.case import CASE, Case
from sysevent.plugin.run import Run
from sysevent.targets.spec import TargetSpec

RUN = pytest.StashKey[Run]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A target that is not ours any more is not asked."""
    _check(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What a target said that was not ours until the end is no verdict, be it good or bad."""
    try:
        return (yield)
    finally:
        _check(item)


def _check(item: pytest.Item) -> None:
    spec = getattr(getattr(item, "callspec", None), "params", {}).get("target")
    if isinstance(spec, TargetSpec) and RUN in item.config.stash:
        item.config.stash[RUN].check(spec)


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> TargetSpec:
    """The place whose kernel is asked; the test's id names it."""
    spec: TargetSpec = request.param
    return spec


@pytest.fixture(scope="session")
def sysevent_run(request: pytest.FixtureRequest) -> Run:
    """This session's results, log and guests."""
    config = request.config
    if RUN not in config.stash:
        config.stash[RUN] = Run(config, request.session.items)
    return config.stash[RUN]


@pytest.fixture(scope="session")
def guest(target: TargetSpec, sysevent_run: Run, pytestconfig: pytest.Config) -> Iterator[Guest]:
    """The target, booted, with its facts read."""
    lacks = obstacle(target, pytestconfig.getoption("kernel"))
    if lacks:
        pytest.skip(lacks)
    found = sysevent_run.guest(target)
    try:
        facts = found.facts()
        sysevent_run.check(target)
        sysevent_run.tell_target(found, facts)
        yield found
    except (NotApplicable, WrongArchitecture) as error:
        pytest.skip(str(error))
    finally:
        sysevent_run.done(found)  # also when it was lost: another guest waits for its place


@pytest.fixture(scope="session")
def facts(guest: Guest) -> Facts:
    """What the target's kernel says of itself."""
    return guest.facts()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """The next run can send ahead what this test has asked."""
    if RUN in item.config.stash:
        item.config.stash[RUN].ran(item)


@pytest.fixture
def case(request: pytest.FixtureRequest, target: TargetSpec, abi: str, facts: Facts) -> Case:
    """What this test has asked and expected so far; the verdict is made from it."""
    found = Case(target, abi, facts)
    request.node.stash[CASE] = found
    return found


@pytest.fixture
def expected(case: Case, pytestconfig: pytest.Config) -> Callable[[str], Expectation]:
    """expected("arm64.psci.off"): what that claim means for this kernel. Skips when it means nothing here.

    Stands left of the comparison, so that a kernel without the feature is not even asked.
    """

    def expect(name: str) -> Expectation:
        claim = table.claim(name)
        case.claim = claim
        try:
            found = judge.bind(
                claim,
                case.facts,
                minimum=options.floor(pytestconfig),
                strict=pytestconfig.getoption("strict_observed"),
            )
        except NotApplicable as error:
            pytest.skip(str(error))
        case.expectation = found
        return found

    return expect


@pytest.fixture
def probe(
    case: Case, guest: Guest, abi: str, sysevent_run: Run, request: pytest.FixtureRequest
) -> Callable[[str], Observation]:
    """probe("arm64.psci.off"): what the scenario of that claim gave on this target, bytes and all."""

    def ask(name: str) -> Observation:
        claim = table.claim(name)
        sysevent_run.asks(request.node, claim.scenario, claim.abi or abi)
        try:
            case.seen = guest.observe(claim.scenario, claim.abi or abi)
        except NotApplicable as error:  # the kernel runs no programs of that ABI
            pytest.skip(str(error))
        case.seconds = guest.seconds[claim.scenario, case.seen.abi]
        return case.seen

    return ask
