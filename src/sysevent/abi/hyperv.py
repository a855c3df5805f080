"""Hyper-V's synthetic MSRs and CPUID leaves: the Hyper-V Top Level Functional Specification, 2.4.3 and 2.4.7."""

from __future__ import annotations

from typing import Final

# HV_X64_MSR_RESET
MSR_RESET: Final = 0x4000_0003
# HV_X64_MSR_REENLIGHTENMENT_CONTROL
MSR_REENLIGHTENMENT_CONTROL: Final = 0x4000_0106
# HV_X64_MSR_CRASH_P0; P1 to P4 follow.
MSR_CRASH_P0: Final = 0x4000_0100
# HV_X64_MSR_CRASH_CTL, and its bits
MSR_CRASH_CTL: Final = 0x4000_0105
CRASH_NOTIFY: Final = 1 << 63
CRASH_NOTIFY_MESSAGE: Final = 1 << 62

# HYPERV_CPUID_*: the leaves from the first to the last that a guest must see.
CPUID_VENDOR: Final = 0x4000_0000
CPUID_INTERFACE: Final = 0x4000_0001
CPUID_VERSION: Final = 0x4000_0002
CPUID_FEATURES: Final = 0x4000_0003
CPUID_RECOMMENDATIONS: Final = 0x4000_0004
CPUID_LIMITS: Final = 0x4000_0005

# HV_MSR_RESET_AVAILABLE, in EAX of CPUID_FEATURES
RESET_AVAILABLE: Final = 1 << 7
# HV_FEATURE_GUEST_CRASH_MSR_AVAILABLE, in its EDX
CRASH_AVAILABLE: Final = 1 << 10
