"""From a claim about layouts to its verdict."""

from types import SimpleNamespace

import pytest

from sysevent.arches import ABIS
from sysevent.contract import catalogue
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.errors import DownloadFailed, HarnessError
from sysevent.model import Status
from sysevent.plugin.case import Case
from sysevent.plugin.fixtures import ClaimBroken
from sysevent.plugin.outcome import verdict_of
from sysevent.report import failure


@pytest.fixture
def headers(recorded_layout):
    own = recorded_layout("7.2", "x86_64")
    return HeaderFacts("debian:7.2", "7.2.12-1", ABIS["x86_64"], recorded_layout("7.2", "x86_64"), own)


def case(title, headers=None):
    """A test of a claim, judged on these headers if there are any."""
    claim = catalogue.load().claim(f"layout.{title}")
    found = Case(claim, "headers", "x86_64", native=True, evidence=headers)
    if headers is not None:
        found.verdict = claim.judge(headers)
    return found


PASSED = SimpleNamespace(skipped=False)


def test_a_claim_that_holds(headers):
    found = verdict_of(PASSED, None, case("union", headers))
    assert (found.status, found.test) == (Status.PASS, "kvm.system_event.layout.x86_64.union")


def test_a_claim_that_is_broken(headers):
    """The verdict is the judge's, and the failure says how to look at the headers."""
    del headers.layout.constants["KVM_EXIT_SYSTEM_EVENT"]
    broken = case("constants", headers)
    found = verdict_of(PASSED, ClaimBroken(), broken)
    assert found.status is Status.FAIL
    line, *rest = failure.explain(broken.claim, found, headers)
    assert "KVM_EXIT_SYSTEM_EVENT: got not defined, expected 24" in line
    assert any("sysevent layout show --kernel debian:7.2 --abi x86_64" in more for more in rest)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DownloadFailed("the mirror is away"), Status.MISS),
        (HarnessError("our mistake"), Status.ERROR),
        (KeyError("x"), Status.ERROR),
        # A test that checked nothing.
        (None, Status.ERROR),
    ],
)
def test_what_was_not_judged_is_no_verdict_on_a_kernel(error, status):
    found = verdict_of(PASSED, error, case("union"))
    assert (found.status, found.test) == (status, "kvm.system_event.layout.x86_64.union")


def test_a_skip_keeps_its_reason():
    report = SimpleNamespace(skipped=True, longrepr=("file", 1, "Skipped: no KVM there"))
    found = verdict_of(report, None, case("union"))
    assert (found.status, found.reason) == (Status.SKIP, "no KVM there")


def test_a_test_that_fails_by_itself_is_an_error(headers):
    found = verdict_of(PASSED, AssertionError("something else"), case("union", headers))
    assert (found.status, found.reason) == (Status.ERROR, "something else")
