"""What a user of a real VMM gets on a mutant, compared with the original kernel."""

from pathlib import Path

import pytest
import vmm_runs as runs

from sysevent.contract import catalogue
from sysevent.errors import GuestLost, UsageError
from sysevent.model import Facts, Status
from sysevent.sensitivity import vmms
from sysevent.sensitivity.beside import Original
from sysevent.sensitivity.verdicts import Verdicts
from sysevent.sensitivity.vmms import VmmAsker

SHUTDOWN, REPORTED = "arm64.vmm.qemu.psci.off", "arm64.vmm.qemu.psci.suspend"
OFF, SUSPEND = "qemu-10.psci.off", "qemu-10.psci.suspend"
CLAIMS = [catalogue.load().claim(name) for name in (SHUTDOWN, REPORTED)]
# What each event gives on the original kernel.
ORIGINAL = {SHUTDOWN: runs.shutdown(), REPORTED: runs.returned(0xFFFF_FFFF_FFFF_FFFF)}
UNSTARTED = runs.seen(
    runs.NOT_STARTED, start=runs.answer(errors=b"qemu: Putting registers: no", status=0x100)
)
LOST = GuestLost("its kernel panicked")
IMAGE, MUTANT = Path("original"), Path("mutant")


class Kernels:
    """Guests of two kernels. `gives`: what each guest of the mutant gives that differs, in their order."""

    def __init__(self, *gives, original=()):
        self.gives, self.original_gives = list(gives), list(original)
        # The boot images, and whether the guest must pass a control, in the order of the guests.
        self.booted, self.observed = [], []

    def __call__(self, image, logs, controlled):
        self.booted.append((image, controlled))
        left = self.gives if image == MUTANT else self.original_gives
        return Guest(self, ORIGINAL | (left.pop(0) if left else {}))


class Guest:
    def __init__(self, kernels, gives):
        self.kernels, self.gives = kernels, gives

    def facts(self):
        return Facts("arm64", "6.12.1", {}, {}, "")

    def observe(self, scenario):
        self.kernels.observed.append(scenario)
        found = self.gives[scenario.name]
        if isinstance(found, Exception):
            raise found
        return found

    def close(self):
        pass


def ask_original(kernels):
    return VmmAsker("arm64", "qemu-10", kernels, CLAIMS)(IMAGE, Path("logs"), 9.0, None)


BASE = ask_original(Kernels())


def ask_mutant(kernels, base=BASE, budget=60.0):
    asks = VmmAsker("arm64", "qemu-10", kernels, CLAIMS)
    return asks(MUTANT, Path("logs"), budget, Original(IMAGE, base))


def test_the_original():
    """It is asked in two guests that pass their control, and gives words."""
    kernels = Kernels()
    found = ask_original(kernels)
    assert found.statuses == {OFF: Status.PASS, SUSPEND: Status.PASS}
    assert found.shown[OFF] == "SHUTDOWN guest-shutdown; exit code 0"
    assert kernels.booted == [(IMAGE, True)] * 2


@pytest.mark.parametrize("second", [runs.reset(), UNSTARTED, LOST])
def test_what_the_original_does_not_give_twice(second):
    """It says nothing, and is not asked of mutants."""
    base = ask_original(Kernels(original=[{}, {SHUTDOWN: second}]))
    assert base.statuses == {OFF: Status.MISS, SUSPEND: Status.PASS}
    kernels = Kernels()
    assert ask_mutant(kernels, base).statuses == {SUSPEND: Status.PASS}


def test_a_vmm_that_never_starts_on_the_original():
    base = ask_original(Kernels(original=[{SHUTDOWN: UNSTARTED}] * 2))
    assert base.statuses[OFF] is Status.MISS


def test_a_mutant_that_gives_the_same():
    """One guest is enough, and no control of it decides."""
    kernels = Kernels()
    assert ask_mutant(kernels).statuses == {OFF: Status.PASS, SUSPEND: Status.PASS}
    assert kernels.booted == [(MUTANT, False)]


@pytest.mark.parametrize("other", [runs.reset(), runs.returned(0), UNSTARTED])
def test_a_difference_that_is_seen_twice(other):
    """Also a VMM that does not start its guest. The original is asked once more, for what differs only."""
    kernels = Kernels({SHUTDOWN: other}, {SHUTDOWN: other})
    found = ask_mutant(kernels)
    assert found.statuses == {OFF: Status.FAIL, SUSPEND: Status.PASS}
    assert found.shown[OFF] != BASE.shown[OFF]
    assert [image for image, _ in kernels.booted] == [MUTANT, MUTANT, IMAGE]
    assert [one.name for one in kernels.observed[2:]] == [SHUTDOWN, SHUTDOWN]


@pytest.mark.parametrize("second", [{}, {SHUTDOWN: LOST}])
def test_a_difference_that_is_seen_once(second):
    """It is no result."""
    assert ask_mutant(Kernels({SHUTDOWN: runs.reset()}, second)).statuses[OFF] is Status.MISS


@pytest.mark.parametrize("control", [runs.reset(), UNSTARTED, LOST])
def test_a_difference_that_the_original_gives_as_well(control):
    """As on a machine that is too slow by now."""
    kernels = Kernels(*[{SHUTDOWN: UNSTARTED}] * 2, original=[{SHUTDOWN: control}])
    assert ask_mutant(kernels).statuses[OFF] is Status.MISS


def test_a_guest_that_is_lost():
    assert ask_mutant(Kernels({SHUTDOWN: LOST})).statuses == {OFF: Status.MISS, SUSPEND: Status.PASS}


def test_the_time_is_over():
    """Every event is MISS, and the original is not blamed for it."""
    kernels = Kernels()
    assert set(ask_mutant(kernels, budget=-1.0).statuses.values()) == {Status.MISS}
    assert not kernels.observed


def test_enough_differences():
    """Then no more are asked."""
    claims = [claim for claim in catalogue.load().about_vmms if claim.name.startswith("arm64.vmm.qemu.psci.")]
    assert len(claims) > 3
    before = {claim.asks.name: runs.shutdown() for claim in claims}
    after = dict.fromkeys(before, runs.reset())
    kernels = Kernels(after, after, original=[before] * 3)
    asks = VmmAsker("arm64", "qemu-10", kernels, claims)
    found = asks(MUTANT, Path("logs"), 60.0, Original(IMAGE, asks(IMAGE, Path("logs"), 9.0, None)))
    assert list(found.statuses.values()) == [Status.FAIL] * 3


def test_all_that_a_vmm_reports_is_compared():
    """As the second parameter of a crash."""
    claim = catalogue.load().claim("x86_64.vmm.qemu.hyperv.crash")
    kernels = Kernels(original=[{claim.asks.name: runs.panic()}])
    assert "arg2=34" in vmms.got(claim, kernels(IMAGE, Path(), False)).words


def test_no_step_takes_longer_than_a_minute():
    kernels = Kernels()
    ask_mutant(kernels)
    steps = [step.milliseconds for scenario in kernels.observed for step in scenario.steps]
    assert max(steps) == 60_000
    assert min(steps) == 6_000


def test_a_vmm_without_claims():
    with pytest.raises(UsageError, match="no claims about it on arm64"):
        VmmAsker("arm64", "mine=/bin/true", Kernels(), CLAIMS)


def test_names():
    """A program of the user's is not named by its path."""
    asks = VmmAsker("arm64", "qemu=/x/qemu", Kernels(), CLAIMS)
    assert list(asks.asked) == ["qemu.psci.off", "qemu.psci.suspend"]
    assert asks(IMAGE, Path("logs"), 9.0, None) == Verdicts(
        {"qemu.psci.off": Status.PASS, "qemu.psci.suspend": Status.PASS},
        shown={name.replace("-10", ""): words for name, words in BASE.shown.items()},
    )
