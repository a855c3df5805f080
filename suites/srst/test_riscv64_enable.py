"""The registers by which userspace turns SBI system reset (SRST) off and on, hart by hart.

Each hart has its own switch, and there is a register for many extensions at once (KVM_REG_RISCV_SBI_EXT, v6.4). They
can be set until the hart runs for the first time. Source: arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_set_reg_sbi_ext,
kvm_vcpu_sbi_find_ext.
"""

from sysevent.abi import sbi
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.mp_state import MpState
from sysevent.abi.registers import riscv64_sbi, riscv64_sbi_many
from sysevent.abi.sbi import EXT_SRST, NOT_SUPPORTED
from sysevent.contract.checks import RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.riscv64 import ENABLE, REASON, event_claim, guest_continues
from sysevent.contract.scenario_checks import BufferHolds, Returns
from sysevent.scenario import ioctls
from sysevent.scenario.ioctls import ONE_REG_VALUE
from sysevent.scenario.riscv64 import call, enable, scenario, vm_with_vcpus

DOC = "arch/riscv/kvm/vcpu_sbi.c, kvm_riscv_vcpu_set_reg_sbi_ext, v6.4"
SRST_BIT = 1 << EXT_SRST
# An extension that no kernel has.
UNKNOWN = 63


def states(hart, when):
    """Return the steps that read the switch of a hart, by its own register and by that of many."""
    return (
        ioctls.get_one_reg(hart, riscv64_sbi(EXT_SRST), f"{when}"),
        ioctls.get_one_reg(hart, riscv64_sbi_many(1), f"{when}, among all"),
    )


# Off for hart 1 alone, by its own register; hart 0 has run before hart 2 is turned off.
ONE = scenario(
    "srst.disabled.hart",
    *vm_with_vcpus(vcpus=3),
    enable(EXT_SRST, 0, hart=1),
    *(ioctls.set_mp_state(hart, MpState.RUNNABLE) for hart in (1, 2)),
    *call(1, sbi.SHUTDOWN, REASON, "hart 1"),
    *call(0, sbi.SHUTDOWN, REASON),
    enable(EXT_SRST, 0, "turned off", hart=2),
    ioctls.set_mp_state(2, MpState.RUNNABLE),
    *call(2, sbi.COLD_REBOOT, REASON, "hart 2"),
)
# Hart 0 off by the register of many; hart 1 off by it, and on again by its own.
MANY = scenario(
    "srst.disabled.many",
    *vm_with_vcpus(vcpus=2),
    *states(0, "at first"),
    *(ioctls.set_one_reg(hart, riscv64_sbi_many(0), SRST_BIT) for hart in (0, 1)),
    *states(0, "off"),
    ioctls.set_one_reg(1, riscv64_sbi_many(1), SRST_BIT),
    *states(1, "on"),
    ioctls.get_one_reg(0, riscv64_sbi(UNKNOWN), "unknown"),
    enable(UNKNOWN, 1, "unknown set"),
    ioctls.set_mp_state(1, MpState.RUNNABLE),
    *call(0, sbi.SHUTDOWN, REASON, "hart 0"),
    *call(1, sbi.COLD_REBOOT, REASON),
)


def refused(label):
    """Return the checks that SRST is not there for a hart: the error, and no event."""
    return (*guest_continues(label), RegisterHolds("a0", NOT_SUPPORTED, label), RegisterHolds("a1", 0, label))


CLAIMS = claims(
    ExitClaim(
        "srst.disabled.hart",
        "SRST that is turned off for one hart is off for that hart alone: SBI_ERR_NOT_SUPPORTED (-2), and no event.",
        asks=ONE,
        gives=refused("hart 1"),
        source=DOC,
        needs=(ENABLE,),
    ),
    event_claim(
        "srst.disabled.peer",
        "A hart whose SRST is on causes its event, although it is off for another hart.",
        asks=ONE,
        event=(EventType.SHUTDOWN, REASON),
        source=DOC,
        needs=(ENABLE,),
    ),
    ExitClaim(
        "srst.disabled.later",
        "SRST can be turned off for a hart that has not run yet, although others have.",
        asks=ONE,
        gives=(Returns("turned off"), *refused("hart 2")),
        source=DOC,
        needs=(ENABLE,),
    ),
    ExitClaim(
        "srst.disabled.many",
        "The register of many extensions turns SRST off, and both registers say so.",
        asks=MANY,
        gives=(
            BufferHolds("at first", 1, ONE_REG_VALUE, 8),
            BufferHolds("off", 0, ONE_REG_VALUE, 8),
            BufferHolds("on", 1, ONE_REG_VALUE, 8),
            *refused("hart 0"),
        ),
        source=DOC,
        needs=(ENABLE,),
    ),
    event_claim(
        "srst.enabled.many",
        "The register of many extensions turns SRST on again, and a call causes its event.",
        asks=MANY,
        event=(EventType.RESET, REASON),
        source=DOC,
        needs=(ENABLE,),
    ),
    ExitClaim(
        "srst.register.unknown",
        "The register of an extension that does not exist gives ENOENT.",
        asks=MANY,
        gives=(Returns("unknown", errno=Errno.ENOENT), Returns("unknown set", errno=Errno.ENOENT)),
        source=DOC,
        needs=(ENABLE,),
    ),
)


@CLAIMS.each
def test_enable(check, claim):
    """Userspace turns SRST off and on for each hart, until that hart runs."""
    check(claim)
