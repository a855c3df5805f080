"""Claims about layouts: what headers, and the types of a running kernel, must mean in bytes. No I/O."""

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

Found = tuple[list[Mismatch], str]
"""What a check of a layout gives: the mismatches, and a note ("" for none)."""


class Layouts(enum.Enum):
    """What a claim about layouts is asked of."""

    # The headers of each selected kernel, compiled for every userspace ABI.
    HEADERS = "headers"
    # The same without the kernel's own ABI.
    FOREIGN_HEADERS = "foreign headers"
    # The BTF of the kernel that runs on a target, beside its headers.
    RUNNING_KERNEL = "running kernel"


class HeaderFacts(msgspec.Struct, frozen=True):
    """What one kernel's headers mean to one ABI, and what the running kernel was compiled with where one runs."""

    # The kernel, as the user named it: "debian:6.12".
    spec: str
    # Of the header package, or of the running kernel.
    version: str
    userspace: Abi
    layout: Layout
    # The same headers for the kernel's own ABI.
    kernel: Layout
    # struct kvm_run, and what it holds, in the running kernel's BTF.
    btf: Layout | None = None

    @property
    def new(self) -> bool:
        """Whether system_event must be what it is since v5.18."""
        says_so = "KVM_CAP_SYSTEM_EVENT_DATA" in self.layout.constants
        return says_so or kernel_release.parse(self.version) >= kernel_release.EVENT_DATA

    @property
    def run(self) -> Struct:
        """struct kvm_run."""
        return self.layout.structs["kvm_run"]


class LayoutClaim(msgspec.Struct, frozen=True):
    """What must hold for one kernel's headers or for its BTF."""

    # "system_event"; the ABI is not part of it.
    title: str
    # One sentence.
    says: str
    asks: Layouts
    # The function that compares.
    gives: Callable[[HeaderFacts], Found]
    source: str
    level: Level = Level.ABI

    @property
    def name(self) -> str:
        """The name that a user selects it by, for every ABI: "layout.system_event"."""
        return f"layout.{self.title}"

    def test(self, abi: str) -> str:
        """Its name in run.jsonl: with the ABI where no target says which."""
        of = "" if self.asks is Layouts.RUNNING_KERNEL else f"{abi}."
        return f"{PREFIX}.layout.{of}{self.title}"

    def judge(self, evidence: HeaderFacts) -> Verdict:
        """PASS, FAIL with every mismatch, or DONE with a note about a known defect."""
        wrong, note = self.gives(evidence)
        test = self.test(evidence.userspace.name)
        if wrong:
            reason = f"{summary(tuple(wrong))}. {self.says}"
            return Verdict(test, Status.FAIL, self.level, reason, tuple(wrong))
        if note:
            return Verdict(test, Status.DONE, self.level, f"{note}. {self.says}")
        old = "" if evidence.new else " The definition before v5.18 is expected here."
        return Verdict(test, Status.PASS, self.level, self.says + old)
