"""The kernel's own tests that are run: tools/testing/selftests/kvm. No I/O.

Where each is, in which releases: the history of that directory, and the sources of Debian's 5.10.223, 6.1.176, 6.12.117
and 7.2.12, which tests/peers/test_programs.py compares. Only the tree itself decides whether it has a program: a
stable release or a user's branch can have more.

Left out: what is about other things than events and the state that they leave; what needs a CPU of Intel; and
nested_exceptions_test, because the SVM that QEMU 7.2 emulates writes another error code than it expects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from sysevent.arches import ArchName

FOLDER = "tools/testing/selftests/kvm"
"""Where the programs are in a kernel's source."""


class Place(msgspec.Struct, frozen=True):
    """Where a program is in some releases."""

    # Below FOLDER, without ".c". The Makefile's goal is the same below OUTPUT.
    path: str
    # The first release with it there, "" for 5.10 or an earlier one, and the first without it again, "" if there is
    # none.
    since: str = ""
    until: str = ""


class Selftest(msgspec.Struct, frozen=True):
    """One program of the selftests on one architecture."""

    # Its name today, by which reports name it in all releases.
    name: str
    arch: ArchName
    # The latest first.
    places: tuple[Place, ...]
    # What it looks at, in a few words.
    about: str
    # True: it takes tens of seconds under TCG, so that it is not run on mutants.
    slow: bool = False

    @property
    def since(self) -> str:
        """The first release with it, "" for 5.10 or an earlier one."""
        return self.places[-1].since

    def place(self, exists: Callable[[str], bool]) -> str:
        """Return where a source has the program, below FOLDER, without ".c"; "" if it does not have it.

        exists: whether the source has a file, by its path below FOLDER.
        """
        return next((place.path for place in self.places if exists(f"{place.path}.c")), "")


def _moved(arch: ArchName, name: str, about: str, since: str = "") -> Selftest:
    """A program in the folder of its architecture, which 67730e6c53aa renamed in v6.14."""
    now, before = _FOLDERS[arch]
    if now == before:
        return Selftest(name, arch, (Place(f"{now}/{name}", since),), about)
    places = (Place(f"{now}/{name}", "6.14"), Place(f"{before}/{name}", since, "6.14"))
    return Selftest(name, arch, places, about)


def _shared(arch: ArchName, name: str, about: str, since: str = "", *, slow: bool = False) -> Selftest:
    """A program that several architectures share, at the top."""
    return Selftest(name, arch, (Place(name, since),), about, slow)


# The folder of each architecture's own programs: since v6.14, and before.
_FOLDERS: dict[ArchName, tuple[str, str]] = {
    "arm64": ("arm64", "aarch64"),
    "riscv64": ("riscv", "riscv"),
    "x86_64": ("x86", "x86_64"),
}
_REGISTERS = "KVM_GET_REG_LIST, KVM_GET_ONE_REG"
_MEMORY = "memory regions that are moved, deleted and added while the guest runs"

SELFTESTS: tuple[Selftest, ...] = (
    Selftest(
        "psci_test",
        "arm64",
        (
            Place("arm64/psci_test", "6.14"),
            Place("aarch64/psci_test", "5.19", "6.14"),
            # Of these two, CPU_ON alone.
            Place("aarch64/psci_cpu_on_test", "5.15", "5.19"),
        ),
        "PSCI CPU_ON and SYSTEM_SUSPEND; from 6.14 on SYSTEM_OFF2",
    ),
    _moved("arm64", "hypercalls", "the firmware registers that hide hypercalls", "5.19"),
    _moved("arm64", "smccc_filter", "KVM_ARM_VM_SMCCC_FILTER", "6.4"),
    Selftest(
        "get-reg-list",
        "arm64",
        (Place("get-reg-list", "6.6"), Place("aarch64/get-reg-list", "", "6.6")),
        _REGISTERS,
    ),
    _shared("arm64", "set_memory_region_test", _MEMORY, slow=True),
    _moved("riscv64", "ebreak_test", "a breakpoint in the guest, and KVM_GUESTDBG_USE_SW_BP", "6.11"),
    _moved("riscv64", "sbi_pmu_test", "the SBI extension PMU", "6.10"),
    _shared("riscv64", "get-reg-list", _REGISTERS, "6.6"),
    _shared("riscv64", "set_memory_region_test", _MEMORY, "5.18", slow=True),
    _moved("x86_64", "hyperv_features", "which Hyper-V MSRs and hypercalls are allowed, by CPUID", "5.14"),
    _moved("x86_64", "hyperv_cpuid", "KVM_GET_SUPPORTED_HV_CPUID"),
    _moved("x86_64", "hyperv_extended_hypercalls", "Hyper-V's extended hypercalls", "6.3"),
    _moved("x86_64", "triple_fault_event_test", "a pending triple fault in KVM_SET_VCPU_EVENTS", "6.1"),
    _moved("x86_64", "svm_nested_shutdown_test", "SHUTDOWN in a nested guest", "6.1"),
    _moved("x86_64", "smm_test", "entry into and return from SMM"),
    _moved("x86_64", "xen_vmcall_test", "KVM_EXIT_XEN", "5.12"),
    _moved("x86_64", "sync_regs_test", "registers in kvm_run, and KVM_SET_VCPU_EVENTS through it"),
    _shared("x86_64", "set_memory_region_test", _MEMORY, slow=True),
)


def of(arch: str) -> Sequence[Selftest]:
    """The programs of an architecture, in the order in which they run."""
    return [test for test in SELFTESTS if test.arch == arch]
