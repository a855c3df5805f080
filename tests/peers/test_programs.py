"""Where the programs are, compared with the sources of four of Debian's kernels."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.peers import programs

# The files of tools/testing/selftests/kvm in linux-source-*, as far as a program of the table has that name.
TOP = {"set_memory_region_test"}
SOURCES = {
    "5.10": TOP
    | {"aarch64/get-reg-list"}
    | {f"x86_64/{name}" for name in ("hyperv_cpuid", "smm_test", "sync_regs_test")},
    "6.1": TOP
    | {f"aarch64/{name}" for name in ("get-reg-list", "hypercalls", "psci_test")}
    | {
        f"x86_64/{name}"
        for name in (
            "hyperv_cpuid",
            "hyperv_features",
            "smm_test",
            "svm_nested_shutdown_test",
            "sync_regs_test",
            "triple_fault_event_test",
            "xen_vmcall_test",
        )
    },
}
SOURCES["6.12"] = (
    (SOURCES["6.1"] - {"aarch64/get-reg-list"})
    | {"get-reg-list", "aarch64/get-reg-list", "aarch64/smccc_filter", "x86_64/hyperv_extended_hypercalls"}
    | {"riscv/get-reg-list", "riscv/ebreak_test", "riscv/sbi_pmu_test"}
)
SOURCES["7.2"] = {name.replace("aarch64/", "arm64/").replace("x86_64/", "x86/") for name in SOURCES["6.12"]}


def release(name):
    return tuple(map(int, name.split(".")))


@pytest.mark.parametrize("source", SOURCES)
def test_places(source):
    """In a release between `since` and `until` a program is where the table says, and nowhere in others."""
    files = {f"{name}.c" for name in SOURCES[source]}
    for test in programs.SELFTESTS:
        known = [
            place.path
            for place in test.places
            if (not place.since or release(place.since) <= release(source))
            and (not place.until or release(source) < release(place.until))
        ]
        if test.arch == "riscv64" and release(source) < release("5.18"):
            # KVM on RISC-V is of 5.16, and the programs that were there already are not for it.
            continue
        assert [test.place(files.__contains__)] == (known or [""]), test.name


def test_names_are_unique():
    names = [(test.name, test.arch) for test in programs.SELFTESTS]
    assert len(names) == len(set(names))


def test_periods():
    """Each place ends where the one after it begins."""
    for test in programs.SELFTESTS:
        for later, earlier in zip(test.places, test.places[1:], strict=False):
            assert later.since == earlier.until


def test_every_architecture_has_programs():
    for arch in ARCHITECTURES:
        assert len(programs.of(arch)) >= 4
        assert any(not test.slow for test in programs.of(arch))
