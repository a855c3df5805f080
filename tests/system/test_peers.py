"""The kernel's selftests in a guest, compiled from Debian's source of the same kernel."""

import pytest

from sysevent.errors import ImageError, ToolMissing
from sysevent.model import Status
from sysevent.peers import drive
from sysevent.peers.drive import Case
from sysevent.peers.guests import EngineGuest
from sysevent.peers.session import Session
from sysevent.targets import spec

ARCH = "arm64"


def silent(_):
    pass


@pytest.fixture
def session(bootable, here, tmp_path):
    bootable(ARCH)
    target = next(target for target in spec.builtin() if target.name == f"{ARCH}-tcg")
    return Session(target, here, tmp_path / "logs", silent, silent)


@pytest.fixture
def suite(session):
    try:
        return next(session.suites(None, None, 0))
    except (ImageError, ToolMissing) as error:
        pytest.skip(f"sysevent peers --arch {ARCH}: {error}".splitlines()[0])


def test_programs_and_their_ends(suite, session, here, tmp_path):
    """One that passes, one that its deadline ends, one that is not there; the guest goes on."""
    cases = {case.name: case for case in suite.cases}
    incidents = []
    guest = EngineGuest(session.spec, here, tmp_path / "guest", suite.archives, silent, incidents.append)

    def seen(case, seconds):
        (found,) = drive.run([case], lambda: guest, seconds)
        return found.outcome

    keep, guest.close = guest.close, lambda: None
    try:
        assert seen(cases["psci_test"], 120).status is Status.PASS
        late = seen(cases["set_memory_region_test"], 0.5)
        assert late.status is Status.MISS
        assert "still ran after" in late.reason
        absent = seen(Case("selftests", "absent", ("/peers/absent",)), 120)
        assert absent.status is Status.MISS
        assert "ENOENT" in absent.reason
        assert seen(cases["psci_test"], 120).status is Status.PASS
    finally:
        keep()
    assert incidents == []
