"""Kernels that record what they execute, and their points."""

import struct

import msgspec

from sysevent.conformance.contract import Configuration
from sysevent.conformance.machine import Action
from sysevent.conformance.play import Sequence
from sysevent.decode.instrumented import Point
from sysevent.model import Answer, Observation

BASE = 0xFFFF_8000_8000_0000
PSCI, ARM = "arch/arm64/kvm/psci.c", "arch/arm64/kvm/arm.c"
# Two addresses are of one line, as a loop and an inlined function have them.
POINTS = {
    BASE + 4: Point(PSCI, 10, "kvm_psci_call"),
    BASE + 8: Point(PSCI, 11, "kvm_psci_call"),
    BASE + 12: Point(PSCI, 11, "kvm_psci_call"),
    BASE + 16: Point(PSCI, 20, "kvm_psci_vcpu_off"),
    BASE + 20: Point(ARM, 5, "vcpu_can_run"),
}
SEEN = Observation("arm64.explore.x", "arm64", "arm64", {}, {}, {})
ONE, TWO = (Sequence("arm64", Configuration(1), (Action("run"),) * n) for n in (1, 2))


def recorded(*offsets, cut=0):
    """The answer of the end of a recording."""
    return Answer(0, 0, struct.pack(f"<IIQ{len(offsets)}I", cut, 0, BASE, *offsets))


def covered(seen, *offsets, cut=0):
    """An observation that has also recorded these."""
    return msgspec.structs.replace(seen, answers=seen.answers | {"covered": recorded(*offsets, cut=cut)})
