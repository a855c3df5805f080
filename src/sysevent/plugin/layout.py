"""Tests of layouts: `layout` is one kernel's headers for one ABI, and needs no guest.

`foreign_layout` leaves out the kernel's own ABI, `running_layout` adds a booted guest's BTF. Their verdicts
are made here: nothing was run, so there is no observation for the judge of exits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.cache import Cache
from sysevent.contract import layout as contract
from sysevent.contract.claim import PREFIX
from sysevent.contract.layout import LayoutClaim, Promise, Subject
from sysevent.decode.structs import Layout
from sysevent.engine.btf import kvm_run
from sysevent.engine.guest import Guest
from sysevent.errors import InfrastructureError, NotApplicable, SyseventError, UsageError
from sysevent.headers import compiled, source
from sysevent.headers.abis import USERSPACES, Userspace, native
from sysevent.model import Level, Status, Verdict
from sysevent.plugin.case import OWN_VERDICT
from sysevent.plugin.fixtures import RUN
from sysevent.plugin.options import TARGETS
from sysevent.plugin.run import Run

_HEADERS = ("layout", "foreign_layout")
_FIXTURES = (*_HEADERS, "running_layout")
_NOWHERE = "nowhere"  # selection.py leaves out what has this id: it fits nothing that was asked for


class Place(msgspec.Struct, frozen=True):
    """Headers of one kernel for one ABI, as a test's parameter."""

    kernel: str
    userspace: Userspace
    label: str  # as run.jsonl names it in place of a target

    @property
    def id(self) -> str:
        return f"{self.label}-{self.userspace.name}"


class Compared(msgspec.Struct):
    """What one test has compared so far."""

    target: str
    abi: str
    native: bool
    claim: LayoutClaim | None = None
    subject: Subject | None = None
    kernel: str = ""  # that a guest was seen to run, whatever came of the comparison


COMPARED = pytest.StashKey[Compared]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One instance for each kernel's headers and each ABI of the selected architectures."""
    fixture = next((name for name in _HEADERS if name in metafunc.fixturenames), None)
    if fixture is None:
        return
    config = metafunc.config
    # Of a machine whose kernel runs already nobody knows the headers.
    specs = [spec for spec in config.stash[TARGETS] if spec.booted]
    kernels = list(dict.fromkeys(spec.kernel for spec in specs))
    asked = config.getoption("abi")
    places = [
        Place(kernel, found, "headers" if len(kernels) == 1 else f"headers@{kernel.rpartition('/')[2]}")
        for kernel in kernels
        for found in USERSPACES.values()
        if any(spec.kernel == kernel and spec.arch == found.arch for spec in specs)
        and (fixture == "layout" or found is not native(found.arch))
        and (not asked or found.name in asked or ("native" in asked and found is native(found.arch)))
    ]
    metafunc.parametrize(
        fixture,
        places or [None],
        ids=[place.id for place in places] or [_NOWHERE],
        indirect=True,
        scope="session",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say, before anything can go wrong, that the verdict on this test is made here."""
    if any(name in getattr(item, "fixturenames", ()) for name in _FIXTURES):
        item.stash[OWN_VERDICT] = True
        params = getattr(getattr(item, "callspec", None), "params", {})
        place = params.get("layout", params.get("foreign_layout"))
        if isinstance(place, Place):
            item.stash[COMPARED] = Compared(place.label, place.userspace.name, native=True)
        elif (spec := params.get("target")) is not None:
            abi = str(params["abi"])
            item.stash[COMPARED] = Compared(spec.id, abi, abi == ARCHITECTURES[spec.arch].abis[0].name)


@pytest.fixture(scope="session")
def layout(request: pytest.FixtureRequest, sysevent_run: Run) -> Subject:
    """What one kernel's headers mean to one ABI."""
    place: Place = request.param
    return _subject(place.kernel, place.userspace, sysevent_run)


@pytest.fixture(scope="session")
def foreign_layout(request: pytest.FixtureRequest, sysevent_run: Run) -> Subject:
    """What one kernel's headers mean to an ABI that is not the kernel's own."""
    place: Place = request.param
    return _subject(place.kernel, place.userspace, sysevent_run)


def _subject(kernel: str, userspace: Userspace, run: Run) -> Subject:
    try:
        return _of_headers(kernel, userspace, run)
    except NotApplicable as error:
        pytest.skip(str(error))


def _of_headers(kernel: str, userspace: Userspace, run: Run) -> Subject:
    """NotApplicable when the kernel is an image, which brings no headers along, or had no KVM there."""
    try:
        found = source.find(kernel, ARCHITECTURES[userspace.arch], run.settings, run.progress)
    except UsageError:
        raise NotApplicable(
            f"{kernel} brings no headers along; a track (debian:6.12) or a tree (tree:PATH) does"
        ) from None
    own = native(userspace.arch)
    both = compiled.layouts(found, {userspace, own}, run.settings, run.progress)
    return Subject(kernel, found.version, userspace, both[userspace.name], both[own.name])


@pytest.fixture(scope="session")
def btf(guest: Guest, sysevent_run: Run) -> Layout:
    """struct kvm_run, and what it holds, in the BTF of the running kernel, or of its module kvm."""
    try:
        found = kvm_run(guest, Cache(sysevent_run.settings.cache))
    except NotApplicable as error:
        pytest.skip(f"{error}: it takes CONFIG_DEBUG_INFO_BTF, for a module CONFIG_DEBUG_INFO_BTF_MODULES")
    if not found.structs:
        pytest.skip("the running kernel's BTF has no struct kvm_run")
    return found


@pytest.fixture
def running_layout(
    request: pytest.FixtureRequest, guest: Guest, abi: str, btf: Layout, sysevent_run: Run
) -> Subject:
    """What a booted target's kernel, and its headers for the ABI of the VMM, say of struct kvm_run."""
    userspace, facts = USERSPACES[abi], guest.facts()
    request.node.stash[COMPARED].kernel = facts.release
    try:
        if not guest.spec.booted:
            raise NotApplicable(f"nobody knows the headers of the kernel that runs on {guest.spec.name}")
        found = _of_headers(guest.spec.kernel, userspace, sysevent_run)
    except NotApplicable as error:
        if userspace is not native(userspace.arch):
            pytest.skip(str(error))
        # Without headers, the kernel is compared with our table alone.
        says_so = facts.capabilities.get("vm/215", 0) > 0
        itself = msgspec.structs.replace(btf, constants={"KVM_CAP_SYSTEM_EVENT_DATA": 215} if says_so else {})
        kernel = guest.spec.kernel if guest.spec.booted else facts.release
        found = Subject(kernel, facts.release, userspace, itself, itself)
    return msgspec.structs.replace(found, version=facts.release, btf=btf)


@pytest.fixture
def promised(request: pytest.FixtureRequest) -> Callable[[str], Promise]:
    """promised("union") == layout: that claim holds for these headers."""

    def promise(name: str) -> Promise:
        claim = contract.claim(name)
        compared = request.node.stash[COMPARED]
        compared.claim = claim
        for fixture in _FIXTURES:
            if fixture in request.fixturenames:
                compared.subject = request.getfixturevalue(fixture)
        return Promise(claim)

    return promise


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """A failed claim in its own words: each member with where it is and where it should be."""
    if op != "==" or not isinstance(left, Promise) or not isinstance(right, Subject):
        return None
    verdict = contract.judge(left.claim, right)
    return [
        f"{verdict.test}: {verdict.reason}",
        *(f"  {wrong.what}: got {wrong.got}, expected {wrong.expected}" for wrong in verdict.mismatches),
        f"  rests on {left.claim.source}",
        f"  headers of {right.spec} {right.version}, for {right.userspace.name}",
        f"  see    sysevent layout show --kernel {right.spec} --abi {right.userspace.name}",
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the wrapper's return value is the report
    report: pytest.TestReport = yield  # type: ignore[assignment]
    compared = item.stash.get(COMPARED, None)
    if compared is None or not (report.when == "call" or (report.when == "setup" and not report.passed)):
        return report  # type: ignore[return-value]
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, SyseventError):
        report.longrepr = str(error)
    verdict = verdict_of(item, report, error, compared)
    if verdict.status is Status.ERROR and report.passed:
        report.outcome, report.longrepr = "failed", verdict.reason
    report.user_properties.append(("sysevent", verdict.status.value))
    if RUN in item.config.stash:
        _record(item, item.config.stash[RUN], compared, verdict)
    return report  # type: ignore[return-value]


def verdict_of(
    item: pytest.Item, report: pytest.TestReport, error: BaseException | None, compared: Compared
) -> Verdict:
    """The verdict of one test; only a comparison that was made gives a PASS, a DONE or a FAIL."""
    test = f"{PREFIX}.layout.{_name(item, compared)}"
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return Verdict(test, Status.SKIP, Level.ABI, reason.removeprefix("Skipped: "))
    if isinstance(error, InfrastructureError):
        return Verdict(test, Status.MISS, Level.ABI, str(error).splitlines()[0])
    if error is not None and not isinstance(error, AssertionError):
        return Verdict(test, Status.ERROR, Level.ABI, (str(error) or repr(error)).splitlines()[0])
    if compared.claim is None or compared.subject is None:
        why = f": {str(error).splitlines()[0]}" if error and str(error) else ""
        return Verdict(test, Status.ERROR, Level.ABI, f"the test compared no promise with any layout{why}")
    verdict = contract.judge(compared.claim, compared.subject)
    if (verdict.status is Status.FAIL) != (error is not None):
        return Verdict(test, Status.ERROR, Level.ABI, f"the test and the judge disagree: {verdict.reason}")
    return verdict


def _name(item: pytest.Item, compared: Compared) -> str:
    """A name as the judge gives it, for a test that did not get so far."""
    own = compared.claim.name if compared.claim else item.nodeid.partition("[")[0].rpartition("::")[2]
    own = re.sub(r"[^A-Za-z0-9_-]", "_", own.removeprefix("test_"))
    return own if "running_layout" in getattr(item, "fixturenames", ()) else f"{compared.abi}.{own}"


def _record(item: pytest.Item, run: Run, compared: Compared, verdict: Verdict) -> None:
    run.verdict(
        test=verdict.test,
        target=compared.target,
        kernel=compared.subject.version if compared.subject else compared.kernel,
        abi=compared.abi,
        native=compared.native,
        status=verdict.status.value,
        level=verdict.level.value,
        reason=verdict.reason,
        expected={wrong.what: wrong.expected for wrong in verdict.mismatches},
        got={wrong.what: wrong.got for wrong in verdict.mismatches},
        raw={},
        written={},
        nodeid=item.nodeid,
        seconds=0.0,
    )
