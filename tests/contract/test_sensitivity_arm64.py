"""Small regressions of recorded exits of arm64 machines with several vCPUs, a GIC or other options must be FAIL."""

import struct

import msgspec
import pytest
from recorded_edits import answer, both, exit_, register, u32, u64

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.model import Status

RECORDING, TARGET = "debian-6.12-arm64", "arm64-tcg"
STOPPED, RUNNABLE, SUSPENDED = (struct.pack("<I", state) for state in (5, 0, 10))


def returned(label, reason):
    """Return an edit after which KVM_RUN returned by itself, with this exit reason."""
    return both(exit_(label, ret=0, errno=0, kicked=False), u32(8, reason, label))


def event(label, kind, datum):
    """Return an edit after which KVM_RUN returned with a system event with one datum."""
    edits = (u32(32, kind, label), u32(36, 1, label), u64(40, datum, label))
    return both(returned(label, 24), *edits)


RESET2 = "arm64.psci.reset2_64.gicv3.vcpu3of4.asleep"
SUSPEND = "arm64.psci.suspend_64.gicv3.vcpu3of4.asleep"
WAKEUP = "arm64.suspend.wakeup.gicv3.vcpu3of4.asleep"
CALLS = "arm64.concurrent.calls.vcpu0of2"
KICK = "arm64.concurrent.kick"

# fmt: off
# The regression: claim that must fail, what its first mismatch must name, the edit.
REGRESSIONS = {
    "suspend sets the chunk size": ("arm64.psci.suspend.enable.alone", "chunk", answer("chunk", ret=0)),
    "another capability enables suspend":
        ("arm64.psci.suspend.enable.others", "exit_reason", both(u32(8, 24), u32(32, 5))),
    "the last vCPU's flag is lost": (RESET2, "data[0]", u64(40, 0)),
    "the last vCPU's reset type is narrowed": (RESET2, "x1", register("x1", 1 << 31)),
    "the last vCPU's other registers change": (RESET2, "x9", register("x9", 0)),
    "the caller is not stopped": (RESET2, "mp_state 3", answer("mp_state 3", data=RUNNABLE)),
    "a vCPU in the middle is not stopped": (RESET2, "mp_state 1", answer("mp_state 1", data=RUNNABLE)),
    "an interrupt wakes a stopped peer":
        (RESET2, "vCPU 2's count", answer("counted later", data=struct.pack("<4Q", 1, 1, 1 << 40, 0))),
    "a peer's kvm_run is written": (RESET2, "peer 1: written", u32(32, 2, "peer 1")),
    "a peer gets the event, too": (RESET2, "peer 0", event("peer 0", 2, 1)),
    "the caller's second KVM_RUN runs": (RESET2, "again", returned("again", 6)),
    "suspend stops a peer": (SUSPEND, "mp_state 2", answer("mp_state 2", data=STOPPED)),
    "suspend stops the caller": (SUSPEND, "again", exit_("again", ret=-1, errno=4, kicked=True)),
    "suspend narrows a 64-bit call": (SUSPEND, "x1", register("x1", 0x4000_0000)),
    "an unstarted peer runs": ("arm64.psci.off.vcpu1of2.unstarted", "peer 0", returned("peer 0", 6)),
    "a vCPU wakes up without an interrupt": (WAKEUP, "asleep", event("asleep", 4, 0)),
    "a wake-up wakes all": (WAKEUP, "mp_state 0", answer("mp_state 0", data=SUSPENDED)),
    "a wake-up ends the suspended state": (WAKEUP, "mp_state 3", answer("mp_state 3", data=RUNNABLE)),
    "a stopped peer wakes up":
        ("arm64.suspend.ended_by_off.vcpu0of2", "suspended", event("suspended", 4, 0)),
    "a state of another architecture is taken":
        ("arm64.mp_state.values", "set 6", answer("set 6", ret=0, errno=0)),
    "a refused state is stored": ("arm64.mp_state.values", "get 6", answer("get 6", data=b"\6\0\0\0")),
    "another error": ("arm64.mp_state.values", "set 65536", answer("set 65536", errno=38)),
    "the third KVM_RUN runs": ("arm64.mp_state.stopped", "third", event("third", 1, 0)),
    "CPU_ON loses the context": ("arm64.psci.cpu_on_64", "started: x0", register("x0", 0x8400_0008, "started")),
    "CPU_ON keeps old registers": ("arm64.psci.cpu_on_64", "started: x1", register("x1", 0xBAD, "started")),
    "CPU_OFF lasts until a signal": ("arm64.psci.cpu_off", "off again", returned("off again", 6)),
    "CPU_SUSPEND returns at once": ("arm64.psci.cpu_suspend", "asleep", returned("asleep", 6)),
    "an unknown call is supported": ("arm64.psci.others", "no function: x0", register("x0", 0, "no function")),
    "one event has the other's type": (CALLS, "type", u32(32, 2)),
    "one event has the other's flag": (CALLS, "data[0]", u64(40, 1)),
    "a vCPU that blocked has part of an event": (CALLS, "other: written", u32(32, 2, "other")),
    "neither of two calls exits":
        (CALLS, "events of exit, other", both(exit_(ret=-1, errno=4, kicked=True), u32(8, 10),
         *(u64(at, 0xAAAA_AAAA_AAAA_AAAA) for at in range(32, 168, 8)))),
    "a signal adds an event": (KICK, "exit", event("exit", 2, 1)),
    "a signal costs the event": (KICK, "exit_reason", both(
        exit_("kicked", ret=-1, errno=4, kicked=True), u32(8, 10, "kicked"),
        *(u64(at, 0xAAAA_AAAA_AAAA_AAAA, "kicked") for at in range(32, 168, 8)))),
    "a signal costs the flag": (KICK, "kicked: data[0]", u64(40, 0, "kicked")),
    "a pending signal runs the guest": ("arm64.concurrent.signal", "signalled", event("signalled", 2, 1)),
    "a pending signal writes the union": ("arm64.concurrent.signal", "signalled: written", u32(32, 2, "signalled")),
    "the fourth KVM_RUN of a peer runs":
        ("arm64.concurrent.kicks.off.gicv3.vcpu1of2.asleep", "fourth of 0", returned("fourth of 0", 6)),
    "the log of written pages is refused": ("arm64.options.dirty_log", "log", answer("log", ret=-1, errno=2)),
}
# fmt: on


@pytest.mark.parametrize("broken", REGRESSIONS)
def test_regression_fails(recording, broken):
    """The claim is PASS on the recording, and FAIL on the edited one; its first mismatch names what broke."""
    claim_name, what, edit = REGRESSIONS[broken]
    run = recording(RECORDING)
    claim, facts = catalogue.load().claim(claim_name), run.facts[TARGET]
    seen = run.of(TARGET, claim.asks.name)
    assert claim.judge(ExitEvidence(facts, seen)).status is Status.PASS
    verdict = claim.judge(ExitEvidence(facts, edit(seen)))
    assert verdict.status is Status.FAIL
    assert what in verdict.mismatches[0].what
    assert verdict.mismatches[0].got != verdict.mismatches[0].expected


def test_either_order_of_a_signal_and_an_event_passes(recording):
    """The event may come with the signal, or at the next KVM_RUN."""
    run = recording(RECORDING)
    claim = catalogue.load().claim(KICK)
    seen = run.of(TARGET, claim.asks.name)
    blocked = run.of(TARGET, CALLS).exits["other"]
    later = msgspec.structs.replace(seen, exits={"kicked": blocked, "exit": seen.exits["kicked"]})
    assert claim.judge(ExitEvidence(run.facts[TARGET], later)).status is Status.PASS


def test_both_of_two_calls_may_exit(recording):
    """Each event has its own type and data."""
    run = recording(RECORDING)
    claim = catalogue.load().claim(CALLS)
    seen = both(event("other", 2, 1), *(u64(at, 0, "other") for at in range(48, 168, 8)))(
        run.of(TARGET, CALLS)
    )
    assert claim.judge(ExitEvidence(run.facts[TARGET], seen)).status is Status.PASS
