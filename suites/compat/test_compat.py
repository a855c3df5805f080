"""Processes of a 32-bit ABI: on arm64 and riscv64 they cannot open /dev/kvm.

A VMM built for the 32-bit ABI calls open(), which must fail with ENODEV: KVM does not translate its structures there
(virt/kvm/Kconfig, KVM_COMPAT). On x86-64 KVM serves i386 programs: with --abi i386 all claims about x86-64 are judged
for them.
"""

from sysevent.abi.errno import Errno
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.scenario_checks import Returns
from sysevent.contract.terms import Need
from sysevent.scenario import arm64, riscv64
from sysevent.scenario.steps import Open

RISCV32 = Need(
    "32-bit processes that could open /dev/kvm",
    None,
    "compat",
    requires="CONFIG_COMPAT=y, a CPU with UXL=32, and a VMM built for riscv32, of which none is present",
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
        # Only a VMM for riscv32 could ask, and none is built: FACTS stands in, and the claim is never judged.
        asks=riscv64.FACTS,
        gives=(Returns("open /dev/kvm", errno=Errno.ENODEV),),
        source="afec0c65d09d, KVM: compat: riscv: Prevent KVM_COMPAT from being selected, v5.18",
        needs=(RISCV32,),
    ),
)


@CLAIMS.each
def test_open(check, claim):
    """open("/dev/kvm") of a 32-bit process fails with ENODEV."""
    check(claim)
