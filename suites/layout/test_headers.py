"""A kernel's headers in bytes: the offsets, sizes and constants that a program gets that is compiled with them.

The headers are compiled for each userspace ABI, and compared with the offsets that existing programs have compiled in
(src/sysevent/abi/). No guest is booted. system_event has ndata and data[] since v5.18 (d495f942f40a).
"""

from sysevent.contract.claim import claims
from sysevent.contract.layout_checks import (
    constants_unchanged,
    exits_within_union,
    members_in_place,
    no_unknown_hazard,
    system_event_in_place,
)
from sysevent.contract.layout_claim import LayoutClaim, Layouts
from sysevent.contract.system_events import REPAIR

UAPI = "include/uapi/linux/kvm.h, struct kvm_run"

CLAIMS = claims(
    LayoutClaim(
        "kvm_run",
        "The members of struct kvm_run that every exit uses lie where programs have them compiled in.",
        asks=Layouts.HEADERS,
        gives=members_in_place,
        source=UAPI,
    ),
    # Before v5.18 i386 alone has flags at 36.
    LayoutClaim(
        "system_event",
        "system_event is type @32, ndata @36, data[16] @40 (flags is data[0]); before v5.18 type and flags.",
        asks=Layouts.HEADERS,
        gives=system_event_in_place,
        source=f"{UAPI}; {REPAIR}",
    ),
    LayoutClaim(
        "union",
        "Every exit stays within the 256 bytes of the union, so that kvm_valid_regs stays at 288.",
        asks=Layouts.HEADERS,
        gives=exits_within_union,
        source=f"{UAPI}: char padding[256]",
    ),
    LayoutClaim(
        "constants",
        "Exit reasons, event types, flags, capabilities and ioctls have the numbers that programs use.",
        asks=Layouts.HEADERS,
        gives=constants_unchanged,
        source="include/uapi/linux/kvm.h, arch/*/include/uapi/asm/kvm.h",
    ),
    LayoutClaim(
        "hazards",
        "Programs of this ABI and the kernel agree on the bytes of every structure, except for the known ones.",
        asks=Layouts.FOREIGN_HEADERS,
        gives=no_unknown_hazard,
        source="src/sysevent/headers/compat.py; virt/kvm/kvm_main.c, kvm_vm_compat_ioctl",
    ),
)


@CLAIMS.each
def test_headers(check, claim):
    """Members and constants are what programs of every userspace ABI have compiled in."""
    check(claim)
