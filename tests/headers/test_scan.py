"""Structures that two ABIs lay out differently, and the consequences: in real and in made-up headers."""

import msgspec
import pytest

from sysevent.arches import ABIS, native
from sysevent.decode.structs import Member, Struct
from sysevent.headers.compat import KNOWN_DIFFERENCES, Fate
from sysevent.headers.scan import padding, scan

I386 = ABIS["i386"]


@pytest.fixture
def scanned(recorded_layout):
    """scanned("7.2", "i386"): every hazard."""

    def find(kernel, abi):
        userspace = ABIS[abi]
        own = recorded_layout(kernel, native(userspace.arch).name)
        return scan(own, recorded_layout(kernel, abi), userspace)

    return find


def of_fate(hazards, fate):
    return {hazard.struct for hazard in hazards if hazard.fate is fate}


def test_the_old_system_event_is_misread_only_on_i386(scanned):
    wrong = [hazard for hazard in scanned("5.10", "i386") if hazard.fate is Fate.WRONG]
    assert [(hazard.struct, hazard.known) for hazard in wrong] == [("kvm_run", True)]
    (shift,) = wrong[0].shifts
    assert (shift.path, shift.native, shift.other) == ("system_event.flags", (40, 8), (36, 8))
    for abi in ("x32", "arm"):
        assert not of_fate(scanned("5.10", abi), Fate.WRONG)


def test_the_xen_exit_is_the_only_misread_structure(scanned):
    wrong = [hazard for hazard in scanned("7.2", "i386") if hazard.fate is Fate.WRONG]
    assert [(hazard.struct, hazard.within, hazard.known) for hazard in wrong] == [
        ("kvm_xen_exit", ("kvm_run.xen",), True)
    ]
    assert {(shift.path, shift.native[0] - shift.other[0]) for shift in wrong[0].shifts} == {
        (f"u.hcall.{name}", 4) for name in ("longmode", "cpl", "input", "result", "params")
    }
    assert not of_fate(scanned("7.2", "x32"), Fate.WRONG)


@pytest.mark.parametrize("kernel", ["5.10", "7.2"])
@pytest.mark.parametrize("abi", ["i386", "x32"])
def test_structures_that_the_kernel_translates(scanned, kernel, abi):
    names = {"kvm_dirty_log", "kvm_clear_dirty_log", "kvm_msr_filter", "kvm_msr_filter_range"}
    assert of_fate(scanned(kernel, abi), Fate.TRANSLATED) == names


def test_structures_that_no_program_reaches(scanned):
    found = scanned("7.2", "arm")
    assert of_fate(found, Fate.UNREACHABLE) == {"kvm_dirty_log", "kvm_clear_dirty_log"}
    assert all("KVM_COMPAT" in hazard.source for hazard in found if hazard.fate is Fate.UNREACHABLE)
    # The exits of riscv, in the headers for arm64.
    assert of_fate(found, Fate.ABSENT) == {"kvm_run"}


def test_sev_is_refused_if_the_numbers_differ(recorded_layout):
    kernel, program = recorded_layout("5.10", "x86_64"), recorded_layout("5.10", "i386")
    assert "kvm_sev_cmd" in of_fate(scan(kernel, program, I386), Fate.REFUSED)
    program.constants["KVM_MEMORY_ENCRYPT_OP"] = kernel.constants["KVM_MEMORY_ENCRYPT_OP"]
    (found,) = [hazard for hazard in scan(kernel, program, I386) if hazard.struct == "kvm_sev_cmd"]
    assert (found.fate, found.known) == (Fate.WRONG, False)


def test_a_new_structure_with_another_layout_is_unknown(make_struct, make_layout):
    kernel = make_layout(make_struct("kvm_new_exit", 16, type=(0, 4), value=(8, 8)))
    program = make_layout(make_struct("kvm_new_exit", 12, type=(0, 4), value=(4, 8)))
    (found,) = scan(kernel, program, I386)
    assert (found.struct, found.fate, found.known) == ("kvm_new_exit", Fate.WRONG, False)


def test_a_size_alone_is_a_difference(make_struct, make_layout):
    """The kernel copies four bytes more than an i386 program has reserved."""
    (found,) = scan(
        make_layout(make_struct("k", 16, a=(0, 8), b=(8, 4))),
        make_layout(make_struct("k", 12, a=(0, 8), b=(8, 4))),
        I386,
    )
    assert [(shift.path, shift.native, shift.other) for shift in found.shifts] == [("", (0, 16), (0, 12))]


def test_a_structure_inside_another_is_reported_once(make_struct, make_layout):
    """Members after it move as well; they are reported for the outer structure."""
    inner = [make_struct("inner", size, a=(0, 4), b=(at, 8)) for size, at in ((16, 8), (12, 4))]
    outer = [
        Struct("outer", "struct", size + 8, (Member("i", 0, size, "struct inner", ref="inner"), end))
        for size, end in ((16, Member("end", 16, 8, "__u64")), (12, Member("end", 12, 8, "__u64")))
    ]
    found = scan(make_layout(inner[0], outer[0]), make_layout(inner[1], outer[1]), I386)
    assert {hazard.struct: [shift.path for shift in hazard.shifts] for hazard in found} == {
        "inner": ["b"],
        "outer": ["end"],
    }
    assert found[0].within == ("outer.i",)


def test_equal_layouts_are_not_a_hazard(recorded_layout):
    same = recorded_layout("7.2", "x86_64")
    assert scan(same, recorded_layout("7.2", "x86_64"), I386) == ()


def test_padding_that_an_abi_lacks(recorded_layout):
    found = padding(recorded_layout("5.10", "x86_64"), {"i386": recorded_layout("5.10", "i386")})
    gaps = {(gap.struct, gap.hole.where, gap.hole.offset, gap.shared) for gap in found}
    assert ("kvm_run", "system_event", 36, False) in gaps
    assert ("kvm_run", "mmio", 53, True) in gaps


def test_every_row_has_a_source():
    assert all(row.source and row.archs for row in KNOWN_DIFFERENCES)
    refused = [row for row in KNOWN_DIFFERENCES if row.fate is Fate.REFUSED]
    assert refused
    assert all(row.ioctl for row in refused)


def test_a_bit_field_that_moved(make_struct, make_layout):
    one = make_struct("k", 4, a=(0, 4))
    two = msgspec.structs.replace(one, members=(msgspec.structs.replace(one.members[0], bits=(0, 3)),))
    assert scan(make_layout(one), make_layout(two), I386)
