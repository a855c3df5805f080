"""sysevent sensitivity --explore: what random sequences find on a mutant."""

import pytest

pytest.importorskip("hypothesis", reason="Hypothesis is not installed: pip install 'sysevent[explore]'")

import msgspec
from conformance.model_kernels import FACTS, ModelKernel, changed

from sysevent.cli.explored_mutants import ExploreAsker, exploring_key
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.scenario import scenario
from sysevent.errors import GuestLost
from sysevent.model import Status
from sysevent.settings import from_environment
from sysevent.targets import spec

ARM64 = spec.select(spec.builtin(), ["arm64-tcg"], ["arm64"], [])[0]
TYPE = 32


def wrong_type(sequence, seen):
    """SYSTEM_RESET2 exits as another event."""
    reset2 = {
        f"{n} call {a.vcpu}"
        for n, a in enumerate(sequence.actions)
        if a.values[:1] in ((0x84000012,), (0xC4000012,))
    }
    exits = {
        label: changed(raw, TYPE, b"\x09") if label in reset2 and raw.head[8] == 24 else raw
        for label, raw in seen.exits.items()
    }
    return msgspec.structs.replace(seen, exits=exits)


@pytest.fixture
def asks(tmp_path):
    contract, known = CONTRACTS["arm64"](FACTS["arm64"]), {}

    def remembered(of, sequence):
        asked = scenario(of, sequence)
        known[asked.name] = sequence
        return asked

    def ask(fault=None, lost=False):
        def boots(target, logs, settings):
            assert target.kernel == str(tmp_path / "image")
            kernel = ModelKernel(contract, FACTS["arm64"], known, fault)
            if lost:
                kernel.stream = _lost
            return lambda name, *, fresh: kernel

        asker = ExploreAsker(ARM64, from_environment(), 0.5, boots, remembered)
        return asker(tmp_path / "image", tmp_path / "logs", 60.0, None)

    return ask


def _lost(scenarios):
    next(iter(scenarios))
    raise GuestLost("arm64-tcg: panic")
    yield


def test_the_first_finding_is_enough(asks):
    """A mutant is killed by the rule that it breaks; nothing more is asked then."""
    seen = asks(wrong_type)
    failed = [name for name, status in seen.statuses.items() if status is Status.FAIL]
    assert failed == ["explore.psci.system_reset2"]
    assert Status.MISS not in seen.statuses.values()


def test_an_original_that_follows_the_model_passes(asks):
    assert set(asks().statuses.values()) == {Status.PASS}


def test_a_lost_guest_is_no_finding(asks):
    assert asks(lost=True).statuses == {"explore.guest": Status.MISS}


def test_what_is_asked_changes_with_the_time_for_it():
    assert exploring_key(60.0) != exploring_key(30.0)
    assert exploring_key(60.0) == exploring_key(60.0)
