"""The doctor's look at this machine's KVM: real VMs under deadlines, and what of the suite such a KVM can answer.

A /dev/kvm that opens and makes a VM says little: nested software KVMs exist that hang in KVM_RUN, refuse
MSRs, or know no Hyper-V. cpuinfo says less. So every scenario is asked, each in a process that can be killed.
"""

from __future__ import annotations

import enum
import fcntl
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sysevent.cli.finding import Finding
from sysevent.contract import judge, table
from sysevent.errors import GuestLost, HarnessError, NoKvm, NotApplicable, NotLeased, SyseventError, VcpuStuck
from sysevent.hosts import accel
from sysevent.model import Facts, Observation, Progress
from sysevent.probe import catalog
from sysevent.probe.guest import Guest
from sysevent.settings import Settings
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec, own_arch

_KVM = Path("/dev/kvm")
_SUBJECT = "VMs on /dev/kvm"
_FIX = "only `local`, `kvm` and `auto` targets need it; the TCG targets do not"
_GET_API_VERSION = 0xAE00  # include/uapi/linux/kvm.h: _IO(KVMIO, 0x00)
_CREATE_VM = 0xAE01  # _IO(KVMIO, 0x01)
_BUDGET = 60  # seconds for all scenarios; a sound KVM takes one
# Exits that every sound KVM gives by itself. Others, as a peer's, are ended by the watchdog on purpose.
_OWN = ("first", "exit")

Observe = Callable[[str], Observation]


class Way(enum.Enum):
    """What became of a scenario."""

    ANSWERS = "can be asked"
    ABSENT = "need what it does not offer"
    REFUSES = "refused"
    HANGS = "hang"
    UNASKED = "not tried after that"


_WORDS = {
    Way.ANSWERS: "answers",
    Way.ABSENT: "does not offer",
    Way.REFUSES: "refuses",
    Way.HANGS: "hangs",
    Way.UNASKED: "was not asked",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one scenario."""

    scenario: str
    way: Way
    why: str = ""

    @property
    def family(self) -> str:
        return self.scenario.split(".")[1]


def findings(settings: Settings, progress: Progress, device: Path = _KVM) -> Iterator[Finding]:
    """The device, and, when it makes a VM, what VMs on it do."""
    first = opened(device)
    yield first
    if first.ok and own_arch():
        yield from _tried(settings, progress)
        yield accelerated(settings)


def opened(device: Path) -> Finding:
    """What the device answers before any guest runs: each step with what it gave."""
    steps = []
    try:
        kvm = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return Finding(str(device), ok=False, found=f"open: {error.strerror}", fix=_FIX, needed=False)
    try:
        steps.append(f"open: ok, KVM_GET_API_VERSION: {fcntl.ioctl(kvm, _GET_API_VERSION, 0)}")
        os.close(fcntl.ioctl(kvm, _CREATE_VM, 0))
        steps.append("KVM_CREATE_VM: ok")
    except OSError as error:
        name = "KVM_CREATE_VM" if steps else "KVM_GET_API_VERSION"
        steps.append(f"{name}: {error.strerror}")
        return Finding(str(device), ok=False, found=", ".join(steps), fix=_FIX, needed=False)
    finally:
        os.close(kvm)
    return Finding(str(device), ok=True, found=", ".join(steps), needed=False)


def accelerated(settings: Settings) -> Finding:
    """Whether QEMU starts with this KVM, as `kvm` and `auto` targets want it."""
    arch = own_arch()
    spec = TargetSpec(name=arch, arch=arch, where="auto")  # type: ignore[arg-type]
    why = accel.why_not(spec, settings, anew=True)
    found = (
        why or "starts; whether its guests have a KVM of their own, the first run of an `auto` target tells"
    )
    fix = "`auto` targets take TCG"
    return Finding("QEMU with KVM", ok=not why, found=found, fix=fix, needed=False)


def _tried(settings: Settings, progress: Progress) -> Iterator[Finding]:
    # Another run that has this machine's KVM must not be disturbed, and is not worth waiting for.
    spec = TargetSpec(name="local", arch=own_arch(), where="local", boot=30, kernel="", lease=5)  # type: ignore[arg-type]
    begin = time.monotonic()
    try:
        with Leases(settings).take(spec, progress), tempfile.TemporaryDirectory(prefix="sysevent-") as logs:
            guest = Guest(spec, settings, Path(logs), progress, lambda _: None, lambda *_: None)
            native = guest.arch.abis[0].name
            try:
                facts = guest.facts()
                outcomes = list(asked(spec.arch, facts, lambda name: guest.observe(name, native)))
            finally:
                guest.close()
    except NotLeased as error:
        found = f"not tried: {' '.join(str(error).split())}"
        yield Finding(_SUBJECT, ok=False, found=found, fix="ask again when that run has ended", needed=False)
    except SyseventError as error:
        found = f"none ran: {' '.join(str(error).split())}"
        yield Finding(_SUBJECT, ok=False, found=found, fix=_FIX, needed=False)
    else:
        yield from told(spec.arch, outcomes, time.monotonic() - begin)


def asked(arch: str, facts: Facts, observe: Observe, budget: float = _BUDGET) -> Iterator[Outcome]:
    """Every scenario of an architecture, as far as time goes; what follows a hang in its family is not tried."""
    end = time.monotonic() + budget
    hung: set[str] = set()
    for name in scenarios(arch):
        outcome = Outcome(name, Way.UNASKED)
        absent = why_absent(name, facts)
        if absent:
            outcome = Outcome(name, Way.ABSENT, absent)
        elif time.monotonic() < end and outcome.family not in hung:
            outcome = one(name, observe)
            if outcome.way is Way.HANGS:
                hung.add(outcome.family)
        yield outcome


def scenarios(arch: str) -> list[str]:
    """Those that some claim rests on."""
    return list(dict.fromkeys(claim.scenario for claim in table.CLAIMS.values() if claim.arch == arch))


def why_absent(scenario: str, facts: Facts) -> str:
    """Why no claim about a scenario means anything on this kernel; "" when one does."""
    why = ""
    for claim in table.CLAIMS.values():
        if claim.scenario == scenario:
            try:
                judge.bind(claim, facts)
            except NotApplicable as error:
                why = str(error)
            else:
                return ""
    return why


def one(name: str, observe: Observe) -> Outcome:
    """Ask one, whatever that does to the process that asks."""
    assert name in catalog.SCENARIOS
    try:
        seen = observe(name)
    except NotApplicable as error:
        return Outcome(name, Way.ABSENT, str(error))
    except (VcpuStuck, GuestLost) as error:
        return Outcome(name, Way.HANGS, str(error).splitlines()[0])
    except (HarnessError, NoKvm) as error:
        return Outcome(name, Way.REFUSES, str(error).splitlines()[0])
    for label in _OWN:
        raw = seen.exits.get(label)
        if raw is not None and raw.kicked:
            return Outcome(name, Way.HANGS, f"{name}: KVM_RUN came back only for the watchdog's signal")
    return Outcome(name, Way.ANSWERS)


def told(arch: str, outcomes: Sequence[Outcome], seconds: float) -> Iterator[Finding]:
    """How much of the suite this KVM can answer, and a line for each reason why not all of it."""
    bad = (Way.REFUSES, Way.HANGS, Way.UNASKED)
    counts = {way: sum(outcome.way is way for outcome in outcomes) for way in Way}
    others = [f"{count} {way.value}" for way, count in counts.items() if count and way is not Way.ANSWERS]
    found = f"{counts[Way.ANSWERS]} of our {len(outcomes)} scenarios for {arch} can be asked"
    found = f"{', '.join([found, *others])}; {seconds:.1f} s"
    ok = not any(counts[way] for way in bad)
    fix = "this KVM is incomplete, as nested ones often are: what it cannot be asked is MISS there; TCG targets can"
    yield Finding(_SUBJECT, ok=ok, found=found, fix=fix, needed=False)
    groups: dict[tuple[Way, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.way, outcome.why.removeprefix(f"{outcome.scenario}: ")), []).append(
            outcome
        )
    for way in Way:
        for (its_way, why), members in groups.items():
            if its_way is way:
                sums = Counter(outcome.family for outcome in members)
                found = ", ".join(f"{count} {family}" for family, count in sums.items())
                yield Finding(
                    f"  {_WORDS[way]}",
                    ok=way not in bad,
                    found=f"{found}: {why}" if why else found,
                    needed=False,
                )
