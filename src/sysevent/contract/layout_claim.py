"""Claims about layouts: where headers, and the BTF of a running kernel, must have their members. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from sysevent.arches import Abi
from sysevent.contract import kernel_release
from sysevent.contract.claim import PREFIX
from sysevent.contract.exit_claim import summary
from sysevent.decode.structs import Layout, Struct
from sysevent.model import Level, Mismatch, Status, Verdict

Comparison = tuple[list[Mismatch], str]
"""The result of a check of layouts: the mismatches, and a note about a known defect ("" for none)."""


class Layouts(enum.Enum):
    """What a claim about layouts is judged on."""

    # The headers of each selected kernel, compiled for every userspace ABI.
    HEADERS = "headers"
    # The same, except for the kernel's own ABI.
    FOREIGN_HEADERS = "foreign headers"
    # The BTF of the kernel that runs on a target, and its headers.
    RUNNING_KERNEL = "running kernel"


class HeaderFacts(msgspec.Struct, frozen=True):
    """The layouts of one kernel's headers for one ABI, and of its BTF if it runs on a target."""

    # The kernel, as the user named it: "debian:6.12".
    spec: str
    # Version of the header package, or release of the running kernel.
    version: str
    # The ABI of the programs that include the headers.
    userspace: Abi
    # The headers, compiled for that ABI.
    layout: Layout
    # The same headers for the kernel's own ABI.
    kernel: Layout
    # struct kvm_run and the structures in it, from the running kernel's BTF.
    btf: Layout | None = None

    @property
    def has_event_data(self) -> bool:
        """Whether system_event must be defined as since v5.18, with ndata and data[]."""
        defines_it = "KVM_CAP_SYSTEM_EVENT_DATA" in self.layout.constants
        return defines_it or kernel_release.parse(self.version) >= kernel_release.EVENT_DATA

    @property
    def run(self) -> Struct:
        """The layout of struct kvm_run for userspace."""
        return self.layout.structs["kvm_run"]


class LayoutClaim(msgspec.Struct, frozen=True):
    """What must hold for the headers of every kernel, or for its BTF."""

    # The name without "layout." and without the ABI: "system_event".
    title: str
    # What must hold, in one sentence that ends with a full stop.
    says: str
    # What is compared.
    asks: Layouts
    # The check: a function that compares, does no I/O, and returns the mismatches.
    gives: Callable[[HeaderFacts], Comparison]
    # The kernel header or document that promises it.
    source: str
    level: Level = Level.ABI

    @property
    def name(self) -> str:
        """The name that a user selects the claim by, for every ABI: "layout.system_event"."""
        return f"layout.{self.title}"

    def test(self, abi: str) -> str:
        """Return its name in run.jsonl, which has the ABI in it unless the claim is about a target's kernel."""
        of = "" if self.asks is Layouts.RUNNING_KERNEL else f"{abi}."
        return f"{PREFIX}.layout.{of}{self.title}"

    def judge(self, evidence: HeaderFacts) -> Verdict:
        """Return PASS, FAIL with every mismatch, or DONE with a note about a known defect."""
        wrong, note = self.gives(evidence)
        test = self.test(evidence.userspace.name)
        if wrong:
            reason = f"{summary(tuple(wrong))}. {self.says}"
            return Verdict(test, Status.FAIL, self.level, reason, tuple(wrong))
        if note:
            return Verdict(test, Status.DONE, self.level, f"{note}. {self.says}")
        old = "" if evidence.has_event_data else " The definition before v5.18 is expected here."
        return Verdict(test, Status.PASS, self.level, self.says + old)
