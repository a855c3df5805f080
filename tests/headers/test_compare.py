"""Comparisons of two kernels for one ABI: the change of 2022, and every kind of change."""

import pytest

from sysevent.arches import ABIS
from sysevent.decode.structs import Member, Struct
from sysevent.headers.compare import Kind, compare

X86_64, I386 = ABIS["x86_64"], ABIS["i386"]


def misread(found):
    return [f"{change.struct}.{change.path}" for change in found.changes if change.misread]


def kinds(found):
    return {f"{change.struct}.{change.path}": change.kind for change in found.changes}


def test_i386_misreads_the_old_flags(recorded_layout):
    found = compare(recorded_layout("5.10", "i386"), recorded_layout("7.2", "i386"), I386)
    assert misread(found) == ["kvm_run.system_event.flags"]
    change = found.changes[0]
    assert (change.old, change.new) == ((36, 8), (40, 8))
    assert "system_event.ndata" in change.note


@pytest.mark.parametrize("abi", ["x86_64", "x32", "arm64", "arm"])
def test_no_other_abi_misreads_them(recorded_layout, abi):
    found = compare(recorded_layout("5.10", abi), recorded_layout("7.2", abi), ABIS[abi])
    assert misread(found) == []
    assert kinds(found)["kvm_run.system_event.ndata"] is Kind.FILLED


def test_the_same_change_on_arm64_is_found(recorded_layout):
    """18f3976fdb5d, v5.19: hsr_high in former padding, with a flag that says whether it is valid."""
    found = compare(recorded_layout("5.10", "arm64"), recorded_layout("7.2", "arm64"), ABIS["arm64"])
    assert kinds(found)["kvm_debug_exit_arch.hsr_high"] is Kind.FILLED


def test_a_refused_structure_is_moved_but_not_misread(recorded_layout):
    found = compare(recorded_layout("5.10", "i386"), recorded_layout("7.2", "i386"), I386)
    (moved,) = [c for c in found.changes if (c.struct, c.path) == ("kvm_sev_cmd", "data")]
    assert moved.kind is Kind.MOVED
    assert "refused" in moved.spared


def test_reserved_bytes_that_became_members(recorded_layout):
    found = kinds(compare(recorded_layout("5.10", "x86_64"), recorded_layout("7.2", "x86_64"), X86_64))
    assert found["kvm_clock_data.realtime"] is Kind.RESERVED
    assert found["kvm_vcpu_events.triple_fault.pending"] is Kind.RESERVED
    assert found["kvm_run.tdx.flags"] is Kind.ALTERNATIVE
    assert found["kvm_run.hypercall.flags"] is Kind.ALIAS


def test_a_kernel_does_not_differ_from_itself(recorded_layout):
    same = recorded_layout("7.2", "i386")
    found = compare(same, recorded_layout("7.2", "i386"), I386)
    assert (found.changes, found.added, found.removed, found.sizes, found.renumbered) == ((), (), (), (), ())
    assert not found.breaks


@pytest.mark.parametrize(
    ("old", "new", "path", "kind", "is_misread"),
    [
        ({"a": (0, 4), "b": (4, 4)}, {"a": (0, 4), "b": (8, 4)}, "b", Kind.MOVED, True),
        ({"a": (0, 8)}, {"a": (0, 4)}, "a", Kind.RESIZED, True),
        ({"a": (0, 4), "b": (4, 4)}, {"a": (0, 4)}, "b", Kind.GONE, True),
        ({"a": (0, 4), "b": (4, 4)}, {"a": (0, 4), "c": (4, 4)}, "b", Kind.RENAMED, False),
        ({"a": (0, 4), "b": (8, 8)}, {"a": (0, 4), "n": (4, 4), "b": (8, 8)}, "n", Kind.FILLED, False),
        ({"a": (0, 4), "pad": (4, 4)}, {"a": (0, 4), "n": (4, 4)}, "n", Kind.RESERVED, False),
        ({"a": (0, 4)}, {"a": (0, 4), "n": (16, 8)}, "n", Kind.APPENDED, False),
    ],
)
def test_kinds(make_struct, make_layout, old, new, path, kind, is_misread):
    before, after = (
        make_layout(make_struct("s", max(at + size for at, size in members.values()), **members))
        for members in (old, new)
    )
    changes = {change.path: change for change in compare(before, after, X86_64).changes}
    assert (changes[path].kind, changes[path].misread) == (kind, is_misread)


def test_a_longer_array_is_not_misread(make_layout):
    def with_type(text, size):
        return make_layout(Struct("s", "struct", size, (Member("a", 0, size, text),)))

    (change,) = compare(with_type("__u64[2]", 16), with_type("__u64[4]", 32), X86_64).changes
    assert (change.kind, change.misread) == (Kind.GROWN, False)


def test_smaller_padding_is_not_misread(make_struct, make_layout):
    old, new = (
        make_layout(make_struct("s", 8, a=(0, 4), pad=(4, 4))),
        make_layout(make_struct("s", 8, a=(0, 4), pad=(6, 2), n=(4, 2))),
    )
    assert [change.kind for change in compare(old, new, X86_64).changes] == [Kind.RESERVED]


def test_numbers_and_sizes(make_struct, make_layout):
    old, new = {"KVM_X": 4, "KVM_X_MAX": 5}, {"KVM_X": 6, "KVM_X_MAX": 7}
    found = compare(
        make_layout(make_struct("s", 8), **old),
        make_layout(make_struct("s", 16), make_struct("t", 4), **new),
        X86_64,
    )
    assert found.renumbered == (("KVM_X", 4, 6),)
    assert found.bounds == (("KVM_X_MAX", 5, 7),)
    assert found.breaks
    assert (found.sizes, found.added) == ((("s", 8, 16),), ("t",))
