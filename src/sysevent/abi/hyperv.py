"""Hyper-V's synthetic MSRs and CPUID leaves: the Hyper-V Top Level Functional Specification, 2.4.3 and 2.4.7."""

from __future__ import annotations

from typing import Final

# HV_X64_MSR_RESET
MSR_RESET: Final = 0x4000_0003
# HV_X64_MSR_CRASH_P0; P1 to P4 follow.
MSR_CRASH_P0: Final = 0x4000_0100
# HV_X64_MSR_CRASH_CTL, and its bits
MSR_CRASH_CTL: Final = 0x4000_0105
CRASH_NOTIFY: Final = 1 << 63
CRASH_NOTIFY_MESSAGE: Final = 1 << 62

# HV_MSR_RESET_AVAILABLE, in EAX of leaf 0x40000003
RESET_AVAILABLE: Final = 1 << 7
# HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE, in EDX of the same leaf
CRASH_AVAILABLE: Final = 1 << 10
