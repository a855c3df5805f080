"""32-bit processes: i386 is served (its claims are all the others, with --abi i386); elsewhere KVM refuses."""

from sysevent.abi.errno import Errno
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.terms import Need
from sysevent.scenario import arm64, riscv64
from sysevent.scenario.steps import Open

RISCV32 = Need(
    "32-bit processes that could open /dev/kvm: it takes CONFIG_COMPAT=y, a CPU with UXL=32, and a VMM built for "
    "riscv32; none of the three is",
    None,
    "compat",
)

CLAIMS = claims(
    ExitClaim(
        "compat",
        "A 32-bit process cannot open /dev/kvm: ENODEV.",
        asks=arm64.scenario("compat", Open("/dev/kvm", "open /dev/kvm")),
        gives=(Returns("open /dev/kvm", errno=Errno.ENODEV),),
        source="virt/kvm/Kconfig, KVM_COMPAT is off on arm64; virt/kvm/kvm_main.c, kvm_no_compat_open",
        abi="arm",
    ),
    ExitClaim(
        "compat",
        "A 32-bit process cannot open /dev/kvm: ENODEV.",
        # A VMM for riscv32 would open it; none is built, so what is asked does not matter.
        asks=riscv64.FACTS,
        gives=(Returns("open /dev/kvm", errno=Errno.ENODEV),),
        source="afec0c65d09d, KVM: compat: riscv: Prevent KVM_COMPAT from being selected, v5.18",
        needs=(RISCV32,),
    ),
)


@CLAIMS.each
def test_open(check, claim):
    """Where KVM serves no 32-bit process, /dev/kvm cannot be opened by one."""
    check(claim)
