"""Small regressions of recorded exits must be FAIL, and harmless differences must not be."""

import struct

import msgspec
import pytest
from recorded_edits import answer, both, exit_, never_exits, poke, register, u32, u64

from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.model import Status

ARM, RISCV, X86 = "arm64-tcg", "riscv64-tcg", "x86_64-tcg"
OFF, RESET2 = "arm64.psci.off", "arm64.psci.reset2"


RUNNABLE = struct.pack("<I", 0)
# A recording of the scenarios of x86-64 with other machines than the default one.
MACHINES = "debian-6.12-x86_64"
STALE_MMIO = 0xFEED_FACE_CAFE_F00D

# fmt: off
# The regression: (recording, target, claim that must fail, what its first mismatch must name, the edit[, ABI]).
REGRESSIONS = {
    "ndata is lost": ("debian-6.12", ARM, OFF, "ndata", u32(36, 0)),
    "ndata is not written": ("debian-6.12", ARM, OFF, "ndata", u32(36, 0xAAAA_AAAA)),
    "another type": ("debian-6.12", ARM, OFF, "type", u32(32, 2)),
    "type is not written": ("debian-6.12", ARM, OFF, "type", u32(32, 0xAAAA_AAAA)),
    "a flag that the guest did not cause": ("debian-6.12", ARM, OFF, "data[0]", u64(40, 1)),
    "exit reason is not written": ("debian-6.12", ARM, OFF, "exit_reason", u32(8, 0xAAAA_AAAA)),
    "another exit reason": ("debian-6.12", ARM, OFF, "exit_reason", u32(8, 8)),
    "no exit at all": ("debian-6.12", ARM, OFF, "exit_reason", never_exits()),
    "KVM_RUN fails": ("debian-6.12", ARM, OFF, "exit_reason", exit_(ret=-1, errno=14)),
    "the flag of RESET2 is lost": ("debian-6.12", ARM, RESET2, "data[0]", u64(40, 0)),
    "data shifted by four bytes": ("debian-6.12", ARM, RESET2, "data[0]", u64(40, 1 << 32)),
    "data where flags were on i386": ("debian-6.12", ARM, RESET2, "ndata", both(u32(36, 0), u64(40, 1))),
    "type and ndata swapped": ("debian-6.12", ARM, RESET2, "type", both(u32(32, 1), u32(36, 2))),
    "bit 31 of the first repair": ("debian-6.12", ARM, RESET2, "type", u32(32, 0x8000_0002)),
    "the reset type is zeroed": ("debian-6.12", ARM, "arm64.psci.reset2.vendor.arguments", "x1", register("x1", 0)),
    "the cookie is truncated":
        ("debian-6.12", ARM, "arm64.psci.reset2_64.arguments", "x2", register("x2", 0xC00C_1E55)),
    "success is returned": ("debian-6.12", ARM, "arm64.psci.off.registers", "x0", register("x0", 0)),
    "the PC stays at the call": ("debian-6.12", ARM, "arm64.psci.off.registers", "pc", register("pc", 0x4000_0000)),
    "a reserved type resets":
        ("debian-6.12", ARM, "arm64.psci.reset2.reserved", "exit_reason", both(u32(8, 24), u32(32, 2))),
    "hibernation looks like power-off": ("debian-7.2", ARM, "arm64.psci.off2.0", "data[0]", u64(40, 0)),
    "suspend has data": ("debian-6.12", ARM, "arm64.psci.suspend", "ndata", u32(36, 1)),
    "suspend changes x0": ("debian-6.12", ARM, "arm64.psci.suspend", "x0", register("x0", 0xFFFF_FFFF_FFFF_FFFA)),
    "suspend without the capability":
        ("debian-6.12", ARM, "arm64.psci.suspend.denied", "exit_reason", both(u32(8, 24), u32(32, 5))),
    "suspend and wake-up renumbered": ("debian-6.12", ARM, "arm64.suspend.wakeup", "type", u32(32, 5, "wakeup")),
    "a wake-up that does not repeat":
        ("debian-6.12", ARM, "arm64.suspend.wakeup", "wakeup again", never_exits("wakeup again")),
    "an enabled capability takes flags":
        ("debian-6.12", ARM, "arm64.psci.suspend.enable", "with a flag", answer("with a flag", ret=0, errno=0)),
    "a peer is not stopped":
        ("debian-6.12", ARM, "arm64.peers.off.2", "mp_state 1", answer("mp_state 1", data=RUNNABLE)),
    "the caller is not stopped":
        ("debian-6.12", ARM, "arm64.peers.reset.4", "mp_state 0", answer("mp_state 0", data=RUNNABLE)),
    "a peer runs on":
        ("debian-6.12", ARM, "arm64.peers.off.2", "vCPU 1's count",
         answer("counted later", data=struct.pack("<QQ", 0, 1 << 60))),
    "a peer leaves KVM_RUN":
        ("debian-6.12", RISCV, "riscv64.peers.shutdown.2", "peer 1",
         both(exit_("peer 1", ret=0, errno=0, kicked=False), u32(8, 24, "peer 1"))),
    "KVM_RUN goes on after power-off":
        ("debian-6.12", ARM, "arm64.reentry.off", "again",
         both(exit_("again", ret=0, errno=0, kicked=False), u32(8, 6, "again"))),
    "the second event keeps the first one's flag":
        ("debian-6.12", ARM, "arm64.sequence.reset2_then_off", "data[0]", u64(40, 1)),
    "the MMIO's data in data[0]": ("debian-6.12", ARM, "arm64.after_mmio.off", "data[0]", u64(40, STALE_MMIO)),
    "immediate_exit runs the guest":
        ("debian-6.12", ARM, "arm64.immediate_exit", "nothing",
         both(exit_("nothing", ret=0, errno=0), u32(8, 24, "nothing"))),
    "hsr_high is garbage": ("debian-6.12", ARM, "arm64.debug.break", "debug.hsr_high", u32(36, 0xDEAD, "debug")),
    "the flag of hsr_high stays": ("debian-6.12", ARM, "arm64.debug.event", "run.flags", poke(14, b"\x01\x00")),
    "kvm_valid_regs is written": ("debian-6.12", ARM, OFF, "kvm_valid_regs", u64(288, 1)),
    "writing past the union": ("debian-6.12", ARM, OFF, "bytes after the union", u64(312, 0)),
    "writing far past the union": ("debian-6.12", ARM, OFF, "bytes after", exit_(tail_changed=8, tail_first=400)),
    "capability gone from the VM": ("debian-6.12", ARM, "arm64.capability", "vm/215", answer("vm/215", ret=0)),
    "Hyper-V gone from the VM, its enforcement still there":
        ("debian-6.12", X86, "x86_64.capability.hyperv", "vm/44", answer("vm/44", ret=0)),
    "a 32-bit process opens /dev/kvm":
        ("debian-6.12", ARM, "arm64.compat", "open /dev/kvm", answer("open /dev/kvm", ret=0, errno=0), "arm"),
    "ndata without the capability": ("debian-5.10", ARM, OFF, "ndata", u32(36, 1)),
    "ndata without the capability, x86": ("debian-5.10", X86, "x86_64.hyperv.reset", "ndata", u32(36, 3)),
    "the old flags carry garbage": ("debian-5.10", ARM, OFF, "flags", u64(40, 0x1000)),
    "the reason is truncated": ("debian-6.12", RISCV, "riscv64.srst.shutdown.0xdeadbeef", "data[0]", u64(40, 0xBEEF)),
    "the reason keeps its upper half":
        ("debian-6.12", RISCV, "riscv64.srst.upper.reason", "data[0]", u64(40, 0xFFFF_FFFF_0000_0001)),
    "the reason is sign-extended":
        ("debian-6.12", RISCV, "riscv64.srst.warm_reboot.0xe0000000", "data[0]", u64(40, 0xFFFF_FFFF_E000_0000)),
    "shutdown is reported as reset": ("debian-6.12", RISCV, "riscv64.srst.shutdown.0x0", "type", u32(32, 2)),
    "the first reason is left":
        ("debian-6.12", RISCV, "riscv64.sequence.reset_then_shutdown", "data[0]", u64(40, 0xDEAD_BEEF)),
    "a disabled extension works":
        ("debian-6.12", RISCV, "riscv64.srst.disabled", "exit_reason", both(u32(8, 24), u32(32, 1))),
    "system suspend as a system event":
        ("debian-7.2", RISCV, "riscv64.susp.enabled", "exit_reason", both(u32(8, 24), u32(32, 5))),
    "x86 does not write ndata": ("debian-6.12", X86, "x86_64.hyperv.reset", "ndata", u32(36, 0xAAAA_AAAA)),
    "x86 does not write ndata, for i386":
        ("debian-6.12", X86, "x86_64.hyperv.crash", "ndata", u32(36, 0xAAAA_AAAA), "i386"),
    "io.count is left in ndata": ("debian-6.12", X86, "x86_64.after_out.reset", "ndata", u32(36, 1)),
    "a crash is reported as reset": ("debian-6.12", X86, "x86_64.hyperv.crash", "type", u32(32, 2)),
    "any value resets":
        ("debian-6.12", X86, "x86_64.hyperv.reset.value_0x2", "exit_reason", both(u32(8, 24), u32(32, 2))),
    "the message bit crashes":
        ("debian-6.12", X86, "x86_64.hyperv.crash.bit_62", "exit_reason", both(u32(8, 24), u32(32, 3))),
    "denied by CPUID, yet an event":
        ("debian-6.12", X86, "x86_64.hyperv.enforced.reset.denied", "exit_reason", both(u32(8, 24), u32(32, 2))),
    "reset before crash": ("debian-6.12", X86, "x86_64.pending.both", "type", both(u32(32, 2), u32(32, 3, "second"))),
    "the event repeats":
        ("debian-6.12", X86, "x86_64.reentry.reset", "exit_reason", both(u32(8, 24, "again"), u32(32, 2, "again"))),
    "a triple fault as a system event": ("debian-6.12", X86, "x86_64.triple_fault", "exit_reason", u32(8, 24)),
    "an injected triple fault is lost": ("debian-6.12", X86, "x86_64.triple_fault.injected", "exit_reason", u32(8, 2)),
    "a crash of the last vCPU is lost":
        (MACHINES, X86, "x86_64.hyperv.crash.full.vcpu3of4.running", "exit_reason", u32(8, 2)),
    "a peer's kvm_run is written":
        (MACHINES, X86, "x86_64.hyperv.reset.full.vcpu1of2.asleep", "peer 0: written bytes", u32(32, 2, "peer 0")),
    "a sleeping peer is woken":
        (MACHINES, X86, "x86_64.hyperv.reset.split.vcpu3of4.asleep", "mp_state 1", answer("mp_state 1", data=RUNNABLE)),
    "an event wakes a peer's KVM_RUN":
        (MACHINES, X86, "x86_64.triple_fault.full.vcpu1of2.asleep", "peer 0", exit_("peer 0", kicked=False)),
    "an event in SMM does not say so": (MACHINES, X86, "x86_64.hyperv.reset.smm", "run.flags", poke(14, b"\0\0")),
    "an event outside SMM says so": (MACHINES, X86, "x86_64.hyperv.reset.long", "run.flags", poke(14, b"\1\0")),
    "an event repeats":
        (MACHINES, X86, "x86_64.hyperv.reset.real", "again: exit_reason", u32(8, 24, "again")),
    "a machine check does not shut down": (MACHINES, X86, "x86_64.triple_fault.mce", "exit_reason", u32(8, 2)),
    "a shutdown writes the union": (MACHINES, X86, "x86_64.triple_fault.exception", "written bytes", u32(32, 8)),
    "a corrected machine check shuts down":
        (MACHINES, X86, "x86_64.triple_fault.mce.corrected", "exit_reason", u32(8, 8)),
    "a reset vCPU never runs":
        (MACHINES, X86, "x86_64.after_shutdown.paged", "again: exit_reason", never_exits("again")),
    "a halted vCPU runs after a kick":
        (MACHINES, X86, "x86_64.mp_state.halted.blocks", "second 3", exit_("second 3", kicked=False, ret=0, errno=0)),
    "a state without an APIC":
        (MACHINES, X86, "x86_64.mp_state.values", "set 3", answer("set 3", ret=0, errno=0)),
    "an event is lost to a signal":
        (MACHINES, X86, "x86_64.signal.before.reset", "exit_reason", both(u32(8, 2), u32(32, 0))),
    "two events are mixed":
        (MACHINES, X86, "x86_64.at_once.reset_and_crash", "exit 1: type", u32(32, 2, "exit 1")),
    "a filter is ignored":
        (MACHINES, X86, "x86_64.hyperv.reset.filtered", "exit_reason", both(u32(8, 24), u32(32, 2))),
    "userspace's write is a crash":
        (MACHINES, X86, "x86_64.hyperv.userspace.crash_ctl", "exit_reason", both(u32(8, 24), u32(32, 3))),
    "a hypervisor's guest takes it down":
        (MACHINES, X86, "x86_64.nested.triple_fault.intercepted", "exit_reason", u32(8, 8)),
    "a triple fault that was withdrawn":
        (MACHINES, X86, "x86_64.triple_fault.withdrawn", "exit_reason", u32(8, 8)),
    "a known flag of events is refused":
        (MACHINES, X86, "x86_64.triple_fault.flags", "shadow", answer("shadow", ret=-1, errno=22)),
    "what was reported with a triple fault is not taken back":
        (MACHINES, X86, "x86_64.triple_fault.flags.enabled", "set", answer("set", ret=-1, errno=22)),
    "a restored triple fault is lost":
        (MACHINES, X86, "x86_64.triple_fault.flags.pending", "exit_reason", u32(8, 2)),
    "enabling a capability fails":
        (MACHINES, X86, "x86_64.options.alone.triple_fault_event", "enable", answer("enable", ret=-1, errno=22)),
    "KVM_CAP_X86_TRIPLE_FAULT_EVENT enables exits of MSRs":
        (MACHINES, X86, "x86_64.options.alone.triple_fault_event", "exit_reason", u32(8, 30)),
    "KVM_CAP_EXCEPTION_PAYLOAD enables triple faults":
        (MACHINES, X86, "x86_64.options.alone.exception_payload", "events",
         answer("events", data=struct.pack("<20xI40x", 0x3D))),
    "KVM_CAP_X2APIC_API disables the exit of HLT":
        (MACHINES, X86, "x86_64.options.alone.x2apic_api", "halt: exit_reason", never_exits("halt")),
    "a written page is not logged":
        (MACHINES, X86, "x86_64.options.dirty_log.reset", "log", answer("log", data=bytes(24))),
    "a crash parameter is lost": ("debian-6.12", X86, "x86_64.crash.parameters", "get", answer("get", data=bytes(88))),
    "the registers behind the union moved":
        ("debian-6.12", X86, "x86_64.sync_regs", "s.regs[0]", both(u64(304, 0x5E01), u64(312, 1))),
}

# The difference: (recording, target, scenario, the edit).
HARMLESS = {
    "another duration": ("debian-6.12", ARM, OFF, exit_(microseconds=1)),
    "data beyond ndata": ("debian-6.12", ARM, OFF, u64(80, 0x1234)),
    "data beyond ndata not zeroed": ("debian-6.12", ARM, RESET2, poke(48, b"\xaa" * 120)),
    "union beyond the structure": ("debian-6.12", ARM, OFF, u64(200, 0)),
    "x1 kept after power-off": ("debian-6.12", ARM, OFF, register("x1", 0x5E01)),
    "another stack pointer": ("debian-6.12", ARM, OFF, register("sp", 0x1000)),
    "other condition flags": ("debian-6.12", ARM, RESET2, register("pstate", 0x6000_03C5)),
    "the timer's line": ("debian-6.12", ARM, OFF, u64(304, 1)),
    "cr8 and apic_base": ("debian-6.12", X86, "x86_64.hyperv.reset", u64(24, 0xFEE0_0800)),
    "interrupt window": ("debian-6.12", X86, "x86_64.hyperv.crash", poke(12, b"\x01\x00")),
    "x86 zeroes data": ("debian-6.12", X86, "x86_64.hyperv.reset", poke(40, bytes(128))),
    "VMX leaves the state of the fault":
        ("debian-6.12", X86, "x86_64.triple_fault", both(register("rip", 0x10_0007), register("cs.base", 0))),
    "a triple fault clears the union": ("debian-6.12", X86, "x86_64.triple_fault", poke(32, bytes(256))),
    "x86 peers had no time to count":
        ("debian-6.12", X86, "x86_64.peers.reset.2",
         lambda seen: answer("counted later", data=seen.answers["counted after the exit"].data)(seen)),
    "riscv clears flags": ("debian-6.12", RISCV, "riscv64.srst.shutdown.0x0", poke(14, b"\0\0")),
    "riscv moves on by itself":
        ("debian-6.12", RISCV, "riscv64.srst.cold_reboot.0xdeadbeef", register("pc", 0x8000_0004)),
    "a repeated reason is lost, as on 6.1": ("debian-6.12", RISCV, "riscv64.reentry.shutdown", u64(40, 0, "repeated")),
    "SBI_ERR_INVALID_PARAM as specified":
        ("debian-6.12", RISCV, "riscv64.srst.reserved", register("a0", 0xFFFF_FFFF_FFFF_FFFD)),
}
# fmt: on


@pytest.mark.parametrize("broken", REGRESSIONS)
def test_regression_fails(recording, broken):
    """The claim is PASS on the recording, and FAIL on the edited one; its first mismatch names what broke."""
    name, target, claim_name, what, edit, *abi = REGRESSIONS[broken]
    run = recording(name)
    claim, facts = catalogue.load().claim(claim_name), run.facts[target]
    seen = run.of(target, claim.asks.name, *abi)
    assert claim.judge(ExitEvidence(facts, seen)).status is Status.PASS
    verdict = claim.judge(ExitEvidence(facts, edit(seen)))
    assert verdict.status is Status.FAIL
    assert what in verdict.mismatches[0].what
    assert verdict.mismatches[0].got != verdict.mismatches[0].expected


@pytest.mark.parametrize("difference", HARMLESS)
def test_harmless_difference_does_not_fail(recording, difference):
    """No claim about the scenario is FAIL on the edited recording."""
    name, target, scenario, edit = HARMLESS[difference]
    run = recording(name)
    seen = edit(run.of(target, scenario))
    assert seen != run.of(target, scenario)
    about = [claim for claim in catalogue.load().exits if claim.asks.name == scenario and not claim.abi]
    assert about
    for claim in about:
        assert claim.judge(ExitEvidence(run.facts[target], seen)).status is not Status.FAIL, claim.name


def test_a_lost_capability_does_not_change_the_definition(recording):
    """Linux 6.12 without capability 215 is judged by the new definition, and fails for the lack of the capability."""
    run = recording("debian-6.12")
    facts = run.facts[ARM]
    gone = msgspec.structs.replace(facts, capabilities=facts.capabilities | {"system/215": 0, "vm/215": 0})
    seen = run.of(ARM, "arm64.facts")
    for fd in ("system/215", "vm/215"):
        seen = answer(fd, ret=0)(seen)
    claim = catalogue.load().claim("arm64.capability")
    assert claim.judge(ExitEvidence(gone, seen)).status is Status.FAIL


def test_there_are_enough_of_both():
    """The tables do not shrink unnoticed."""
    assert len(REGRESSIONS) >= 25
    assert len(HARMLESS) >= 10
