"""A kernel is bad if a claim fails in two boots of it; an ill guest says nothing about its kernel."""

import msgspec
import pytest

from sysevent.bisect.ask import Procedure, ask
from sysevent.bisect.outcome import Outcome
from sysevent.contract import catalogue
from sysevent.engine.question import Key
from sysevent.errors import GuestDistrusted, GuestIll, GuestLost, HarnessError
from sysevent.model import KernelLog, Observation

CLAIM = catalogue.load().claim("arm64.psci.off")


class Kernel:
    """A kernel that raises an error, or gives an exit with this ndata."""

    def __init__(self, recording, behaviour):
        self._recording, self._behaviour = recording, behaviour

    def facts(self):
        if isinstance(self._behaviour, Exception):
            raise self._behaviour
        return self._recording.facts["arm64-tcg"]

    def observe(self, scenario, abi):
        seen = self._recording.of("arm64-tcg", scenario.name)
        head = bytearray(seen.exits["exit"].head)
        head[36] = self._behaviour
        return msgspec.structs.replace(
            seen, exits={"exit": msgspec.structs.replace(seen.exits["exit"], head=bytes(head))}
        )

    def close(self):
        pass


@pytest.fixture
def asked(recording, tmp_path):
    """asked(behaviours of the boots, …): the result, and the number of boots."""

    def run(*behaviours, **changes):
        left = list(behaviours)
        procedure = Procedure((CLAIM,), "arm64", **{"boots": 1} | changes)
        result = ask(
            lambda kernel, logs: Kernel(recording("debian-6.12"), left.pop(0)), "k", procedure, tmp_path
        )
        return result, len(behaviours) - len(left)

    return run


def test_one_boot_is_enough_for_a_good_kernel(asked):
    result, boots = asked(1, 1)
    assert (result.outcome, boots) == (Outcome.GOOD, 1)


def test_a_bad_one_needs_two(asked):
    """Also with --boots 1."""
    result, boots = asked(2, 2)
    assert (result.outcome, boots) == (Outcome.BAD, 2)


def test_seen_once(asked):
    """125, with what was got in each boot."""
    result, boots = asked(2, 1)
    assert (result.outcome, boots) == (Outcome.UNKNOWN, 2)
    assert result.reason.startswith(
        "unstable: kvm.system_event.arm64.psci.off was FAIL in one boot (ndata: got 2, expected 1."
    )


@pytest.mark.parametrize("error", [GuestIll("x: the guest is ill"), GuestDistrusted("x: stuck")])
def test_an_ill_guest_is_no_boot_failure(asked, error):
    """With --boot-failure=bad, too."""
    for behaviours in ((error,), (2, error)):
        result, _ = asked(*behaviours, boot_failure_is_bad=True)
        assert (result.outcome, result.reason) == (Outcome.UNKNOWN, str(error))


def test_a_second_boot_that_fails(asked):
    result, _ = asked(2, GuestLost("x: panic"), boot_failure_is_bad=True)
    assert (result.outcome, result.reason) == (
        Outcome.UNKNOWN,
        "boot 2 of the same kernel failed, boot 1 did not: x: panic",
    )


LOG = catalogue.load().claim("arm64.kernel.log")
SPLAT = (
    "[ cut here ]",
    "WARNING: CPU: 0 PID: 7 at arch/arm64/kvm/psci.c:183 kvm_psci_call+0x1/0x2",
    "---[ end trace",
)


class Noisy:
    """A kernel that logs these lines around its first control, or does not answer one scenario."""

    def __init__(self, recording, behaviour):
        self._recording, self._behaviour = recording, behaviour

    def facts(self):
        return self._recording.facts["arm64-tcg"]

    def observe(self, scenario, abi):
        if isinstance(self._behaviour, Exception) and scenario.name == "arm64.psci.off":
            raise self._behaviour
        return Observation(scenario.name, "arm64", abi, {}, {}, {})

    def kernel_logs(self):
        lines = () if isinstance(self._behaviour, Exception) else self._behaviour
        return [(Key("arm64.control", "arm64"), KernelLog(lines=lines, taint=(0, 0)))]

    def close(self):
        pass


@pytest.mark.parametrize(
    ("behaviours", "outcome", "words"),
    [
        (((), ()), Outcome.GOOD, "1 PASS"),
        ((SPLAT, SPLAT), Outcome.BAD, "1 FAIL"),
        ((SPLAT, ()), Outcome.UNKNOWN, "unstable"),
        ((GuestLost("x: panic"),), Outcome.UNKNOWN, "1 MISS"),
        ((HarnessError("x: died"),), Outcome.UNKNOWN, "1 ERROR"),
    ],
    ids=["quiet", "warns", "once", "lost", "died"],
)
def test_a_kernel_that_warns_is_bad(recording, tmp_path, behaviours, outcome, words):
    """By the claim about its log, for which all scenarios are asked; also if only a control shows it."""
    left = list(behaviours)
    procedure = Procedure((LOG,), boots=1)
    result = ask(lambda kernel, logs: Noisy(recording("debian-6.12"), left.pop(0)), "k", procedure, tmp_path)
    assert (result.outcome, words in result.reason) == (outcome, True)


def test_a_claim_about_one_abi_is_asked_there(recording, tmp_path):
    """Also if the procedure is for the kernel's own."""
    asked = []

    class Listening(Kernel):
        def observe(self, scenario, abi):
            asked.append((scenario.name, abi))
            return super().observe(scenario, abi)

    claim = msgspec.structs.replace(CLAIM, abi="arm")
    ask(lambda kernel, logs: Listening(recording("debian-6.12"), 1), "k", Procedure((claim,)), tmp_path)
    assert set(asked) == {("arm64.psci.off", "arm")}
