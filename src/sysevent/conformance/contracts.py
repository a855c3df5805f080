"""The model of each architecture, by its name."""

from __future__ import annotations

from sysevent.conformance.arm64 import Arm64
from sysevent.conformance.riscv64 import Riscv64
from sysevent.conformance.x86_64 import X86

CONTRACTS: dict[str, type[Arm64] | type[Riscv64] | type[X86]] = {
    one.arch: one for one in (Arm64, Riscv64, X86)
}
