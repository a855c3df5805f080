"""What a user of QEMU sees when its x86 guest resets itself, reports a crash, or triple-faults.

Run with `--vmm qemu-10`: see test_arm64_qemu.py. The guest of QEMU is guests/vmms/x86_64.S, a ROM. Beside each claim,
suites/hyperv and suites/triple_fault say what the kernel wrote.

Two of the claims show "bytes right, guest dead": the kernel reports a triple fault as it must, QEMU resets the vCPU and
says so, and the guest never runs again (erratum svm-shutdown-unpaged-qemu). And a guest without Hyper-V's CPUID could
reset itself until 6.1.
"""

from msgspec import structs

from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.outcome_checks import Shows
from sysevent.contract.terms import Need
from sysevent.contract.x86_64 import HYPERV
from sysevent.model import Level
from sysevent.scenario.vmms import PANICKED, SHUT_DOWN, qemu

SOURCE = (
    "QEMU, accel/kvm/kvm-all.c and target/i386/kvm/kvm.c, kvm_arch_handle_exit; arch/x86/kvm/x86.c, "
    "vcpu_enter_guest"
)
GATED = Need("check of Hyper-V's CPUID", (6, 1), "hyperv.gated")
NOT_GATED = Need("check of Hyper-V's CPUID", None, "hyperv.gated", absent=True)
# What the guest does: guests/vmms/x86_64.S.
HV_RESET, HV_CRASH, UNPAGED, PAGED = 1, 2, 3, 4
WITH_RESET = ("-cpu", "host,hv-vpindex=on,hv-reset=on")
WITH_CRASH = ("-cpu", "host,hv-crash=on")
WITHOUT = ("-cpu", "host")
RESET = ("RESET guest-reset",)
AGAIN = Shows(RESET, again=True, state="running")
# The guest's parameters of the crash.
CRASH = {"type": "hyper-v", **{f"arg{number}": str(0x11 * number) for number in range(1, 6)}}


def panicked(action, *, more=(), **shows):
    """Return the check of a crash, for which QEMU took this action."""
    return Shows(("GUEST_PANICKED", *more), data={**CRASH, "action": action}, **shows)


END = ("SHUTDOWN guest-panic",)
UNTIL_PANIC, UNTIL_SHUTDOWN = {"until": PANICKED}, {"until": SHUT_DOWN}
# fmt: off
# Title, what must hold, what the guest does, QEMU's options, what QEMU shows, needs, what ends the guest's run.
ROWS = (
    ("hyperv.reset", "A guest's write to HV_X64_MSR_RESET starts it again in QEMU.",
     HV_RESET, WITH_RESET, AGAIN, (HYPERV,), {}),
    ("hyperv.reset.no_reboot", "-no-reboot ends QEMU after a write to HV_X64_MSR_RESET.",
     HV_RESET, (*WITH_RESET, "-no-reboot"), Shows(("SHUTDOWN guest-reset",)), (HYPERV,), {}),
    ("hyperv.reset.no_cpuid", "A guest of QEMU without Hyper-V's CPUID gets #GP from a write to HV_X64_MSR_RESET.",
     HV_RESET, WITHOUT, Shows(refused=True, state="running"), (HYPERV, GATED), {}),
    ("hyperv.reset.no_cpuid.old", "Before 6.1 a guest of QEMU without Hyper-V's CPUID resets itself all the same.",
     HV_RESET, WITHOUT, AGAIN, (HYPERV, NOT_GATED), {}),
    ("hyperv.crash", "A guest's crash report ends QEMU, which reports its five parameters.",
     HV_CRASH, WITH_CRASH, panicked("poweroff", more=END), (HYPERV,), {}),
    ("hyperv.crash.no_shutdown", "-no-shutdown stops QEMU's machine after a crash report.",
     HV_CRASH, (*WITH_CRASH, "-no-shutdown"), panicked("pause", state="guest-panicked"), (HYPERV,), UNTIL_PANIC),
    ("hyperv.crash.pause", "-action panic=pause stops QEMU's machine after a crash report.",
     HV_CRASH, (*WITH_CRASH, "-action", "panic=pause"), panicked("pause", state="guest-panicked"), (HYPERV,),
     UNTIL_PANIC),
    ("hyperv.crash.none", "-action panic=none lets the guest go on after a crash report.",
     HV_CRASH, (*WITH_CRASH, "-action", "panic=none"), panicked("run", returned=0, state="running"), (HYPERV,), {}),
    ("hyperv.crash.exit_failure", "-action panic=exit-failure ends QEMU with exit code 1 after a crash report.",
     HV_CRASH, (*WITH_CRASH, "-action", "panic=exit-failure"), panicked("poweroff", more=END, exit_code=1),
     (HYPERV,), {}),
    ("triple_fault.unpaged", "A guest that triple-faults without paging is started again in QEMU.",
     UNPAGED, (), AGAIN, (), {}),
    ("triple_fault.paged", "A guest that triple-faults with paging is started again in QEMU.",
     PAGED, (), AGAIN, (), {}),
    ("triple_fault.no_reboot", "-no-reboot ends QEMU after a triple fault, as after any other reset.",
     PAGED, ("-no-reboot",), Shows(("SHUTDOWN guest-reset",)), (), {}),
    ("triple_fault.no_shutdown", "-no-reboot with -no-shutdown stops QEMU's machine after a triple fault.",
     PAGED, ("-no-reboot", "-no-shutdown"), Shows(("SHUTDOWN guest-reset",), state="shutdown"), (), UNTIL_SHUTDOWN),
)
# fmt: on

# The claim about the bytes, by the beginning of the title, the longest first.
BYTES = {
    "hyperv.reset.no_cpuid": "hyperv.no_cpuid.reset",
    "hyperv.reset": "hyperv.reset",
    "hyperv.crash": "hyperv.crash",
    "triple_fault.unpaged": "after_shutdown.protected",
    "triple_fault.paged": "after_shutdown.paged",
    "triple_fault": "triple_fault.paged",
}


def beside(title):
    """Return the name of the claim about the same event in suites/hyperv and suites/triple_fault."""
    return next(BYTES[beginning] for beginning in BYTES if title.startswith(beginning))


CLAIMS = claims(
    *(
        ExitClaim(
            f"vmm.qemu.{title}",
            says,
            asks=qemu("x86_64", f"vmm.qemu.{title}", event, options=options, **until),
            gives=(structs.replace(shows, beside=beside(title)),),
            source=SOURCE,
            needs=needs,
            level=Level.OBSERVED,
        )
        for title, says, event, options, shows, needs, until in ROWS
    )
)


@CLAIMS.each
def test_qemu(check, claim):
    """QEMU reports the event, and the guest ends, comes back, goes on or is stopped."""
    check(claim)
