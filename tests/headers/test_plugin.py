"""From a claim about layouts to its verdict, and from an asked guest to its BTF."""

from types import SimpleNamespace

import pytest

from sysevent.arches import ABIS
from sysevent.contract import catalogue
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.engine import guest as guests
from sysevent.engine.guest import Guest
from sysevent.errors import BadWire, DownloadFailed, HarnessError, NotApplicable
from sysevent.model import Answer, Status
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


@pytest.fixture
def guest(monkeypatch):
    """guest(bytes): a Guest whose L1 has one file."""

    def make(content):
        found = Guest.__new__(Guest)
        found.spec = SimpleNamespace(id="t", name="t")
        found.arch = SimpleNamespace(name="arm64", abis=(None,))
        found.asked = []

        def ask(scenario, abi):
            (step,) = scenario.steps
            found.asked.append((step.offset, step.length))
            if content is None:
                return SimpleNamespace(answers={"file": Answer(-1, 2, b"")})
            piece = content[step.offset : step.offset + step.length]
            return SimpleNamespace(answers={"file": Answer(0, 0, piece)})

        monkeypatch.setattr(found, "_ask_twice", ask, raising=False)
        return found

    monkeypatch.setattr(guests, "_PIECE", 4)
    return make


@pytest.mark.parametrize(("content", "pieces"), [(b"", 1), (b"abc", 1), (b"abcd", 2), (b"abcdefghi", 3)])
def test_a_file_comes_in_pieces(guest, content, pieces):
    found = guest(content)
    assert found.file("/sys/kernel/btf/vmlinux") == content
    assert found.asked == [(4 * n, 4) for n in range(pieces)]


def test_a_file_that_is_not_there(guest):
    with pytest.raises(NotApplicable, match="ENOENT"):
        guest(None).file("/sys/kernel/btf/kvm")


def test_a_file_without_an_end(guest, monkeypatch):
    monkeypatch.setattr(guests, "_FILE_MAX", 16)
    with pytest.raises(BadWire, match="more than 16 bytes"):
        guest(b"x" * 100).file("/dev/zero")
