"""Where a kernel's own addresses lie, by architecture: what must not be found among the bytes that userspace reads.

Each range also has what configurations and randomisation can move there. The last megabytes of the address space are
left out: small negative numbers and errnos lie there, fixed mappings, and nothing whose address is a secret.
"""

from __future__ import annotations

from typing import Final

# Half-open ranges. The highest byte of each address is 0xff, which contract/leaks.py relies on.
KERNEL_ADDRESSES: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    # Documentation/arch/arm64/memory.rst: TTBR1, with 52 bits from 0xfff0…, with 48 from 0xffff…. The last 4 GiB are
    # a guard region, also with 39 bits.
    "arm64": ((0xFFF0_0000_0000_0000, 0xFFFF_FFFF_0000_0000),),
    # Documentation/arch/riscv/vm-layout.rst: the kernel's half for sv57, sv48 and sv39, up to the fixed mappings; then
    # modules and the kernel.
    "riscv64": (
        (0xFF00_0000_0000_0000, 0xFFFF_FFFF_0000_0000),
        (0xFFFF_FFFF_0100_0000, 0xFFFF_FFFF_FF00_0000),
    ),
    # Documentation/arch/x86/x86_64/mm.rst: with five levels from 0xff11…, with four from 0xffff8…; then the kernel's
    # text and modules, without the fixed mappings and those from 0xffffff00….
    "x86_64": (
        (0xFF11_0000_0000_0000, 0xFFFF_FF00_0000_0000),
        (0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_FF00_0000),
    ),
}


def is_kernel_address(value: int, arch: str) -> bool:
    """Return whether a number looks like an address of a kernel of this architecture; False if that is not known."""
    return any(start <= value < end for start, end in KERNEL_ADDRESSES.get(arch, ()))
