"""From a compared layout to its verdict, and from an asked guest to its BTF."""

from types import SimpleNamespace

import pytest

from sysevent.arches import ABIS
from sysevent.contract import layout as contract
from sysevent.contract.layout import Promise, Subject
from sysevent.engine import guest as guests
from sysevent.engine.guest import Guest
from sysevent.errors import BadWire, DownloadFailed, HarnessError, NotApplicable
from sysevent.model import Answer, Status
from sysevent.plugin import layout as plugin
from sysevent.plugin.layout import Compared, Place, verdict_of


@pytest.fixture
def subject(recorded):
    own = recorded("7.2", "x86_64")
    return Subject("debian:7.2", "7.2.12-1", ABIS["x86_64"], recorded("7.2", "x86_64"), own)


@pytest.fixture
def item():
    return SimpleNamespace(
        nodeid="suites/layout/test_headers.py::test_union[headers-x86_64]", fixturenames=["layout"]
    )


def compared(claim=None, subject=None):
    return Compared("headers", "x86_64", True, claim and contract.claim(claim), subject)


PASSED = SimpleNamespace(skipped=False)


def test_a_comparison_that_held(item, subject):
    found = verdict_of(item, PASSED, None, compared("union", subject))
    assert (found.status, found.test) == (Status.PASS, "kvm.system_event.layout.x86_64.union")


def test_a_comparison_that_did_not(item, subject):
    del subject.layout.constants["KVM_EXIT_SYSTEM_EVENT"]
    found = verdict_of(item, PASSED, AssertionError(), compared("constants", subject))
    assert found.status is Status.FAIL
    (line, *rest) = plugin.pytest_assertrepr_compare("==", Promise(contract.claim("constants")), subject)
    assert "KVM_EXIT_SYSTEM_EVENT: got not defined, expected 24" in line
    assert any("sysevent layout show --kernel debian:7.2 --abi x86_64" in more for more in rest)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DownloadFailed("the mirror is away"), Status.MISS),
        (HarnessError("our mistake"), Status.ERROR),
        (KeyError("x"), Status.ERROR),
        (None, Status.ERROR),  # a test that compared nothing
    ],
)
def test_what_was_not_compared_is_no_verdict_on_a_kernel(item, error, status):
    found = verdict_of(item, PASSED, error, compared())
    assert (found.status, found.test) == (status, "kvm.system_event.layout.x86_64.union")


def test_a_skip_keeps_its_reason(item):
    report = SimpleNamespace(skipped=True, longrepr=("file", 1, "Skipped: no KVM there"))
    found = verdict_of(item, report, None, compared())
    assert (found.status, found.reason) == (Status.SKIP, "no KVM there")


def test_a_test_that_disagrees_with_the_judge_is_an_error(item, subject):
    found = verdict_of(item, PASSED, AssertionError("something else"), compared("union", subject))
    assert found.status is Status.ERROR
    assert "disagree" in found.reason


def test_the_id_of_a_place():
    assert Place("debian:7.2", ABIS["x32"], "headers@debian:7.2").id == "headers@debian:7.2-x32"


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
