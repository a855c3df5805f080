"""The table of functions, and what --function selects."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import UsageError
from sysevent.sensitivity import places
from sysevent.sensitivity.places import PLACES, Place


def test_every_architecture_has_places():
    assert list(PLACES) == list(ARCHITECTURES)


def test_places_are_different():
    for rows in PLACES.values():
        assert len(set(rows)) == len(rows)


def test_all_without_a_name():
    assert places.select("riscv64", []) == PLACES["riscv64"]


def test_name_that_a_glob_of_the_table_has():
    (found,) = places.select("arm64", ["kvm_psci_system_off"])
    assert found.function == "kvm_psci_system_off"
    assert "arch/arm64/kvm/psci.c" in found.paths


def test_glob():
    found = places.select("riscv64", ["*mpstate"])
    assert [place.function for place in found] == [
        "kvm_arch_vcpu_ioctl_get_mpstate",
        "kvm_arch_vcpu_ioctl_set_mpstate",
    ]


def test_all_parts_of_a_function():
    found = places.select("x86_64", ["vcpu_enter_guest"])
    assert [place.part for place in found] == ["KVM_REQ_HV_CRASH", "KVM_REQ_HV_RESET", "KVM_REQ_TRIPLE_FAULT"]


def test_any_function_of_the_tree():
    assert places.select("arm64", ["arch/arm64/kvm/hypercalls.c:kvm_smccc_call_handler"]) == (
        Place(("arch/arm64/kvm/hypercalls.c",), "kvm_smccc_call_handler"),
    )


def test_unknown_function():
    with pytest.raises(UsageError, match=r"--function kvm_vcpu is not one of riscv64: .*PATH:FUNCTION"):
        places.select("riscv64", ["kvm_vcpu"])
