"""The judge of layouts: real headers pass, and every way to break them is seen."""

import msgspec
import pytest

from sysevent.arches import ABIS, native
from sysevent.contract import catalogue
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.decode.structs import Layout, Member, leaves
from sysevent.errors import HarnessError
from sysevent.model import Status

VERSIONS = {"5.10": "5.10.223-1", "7.2": "7.2.12-1"}
ALL = [
    *(("5.10", abi) for abi in ("x86_64", "i386", "x32", "arm64", "arm")),
    *(("7.2", abi) for abi in ("x86_64", "i386", "x32", "arm64", "arm", "riscv64")),
]


@pytest.fixture
def subject(recorded_layout):
    def make(kernel, abi):
        userspace = ABIS[abi]
        own = recorded_layout(kernel, native(userspace.arch).name)
        return HeaderFacts(f"debian:{kernel}", VERSIONS[kernel], userspace, recorded_layout(kernel, abi), own)

    return make


def changed(members, path, **changes):
    """These members with one of them changed, wherever it stands."""
    head, _, rest = path.partition(".")
    found = []
    for member in members:
        if member.name == "":
            inner = changed(member.members, path, **changes)
            found.append(msgspec.structs.replace(member, members=inner))
        elif member.name == head and rest:
            found.append(msgspec.structs.replace(member, members=changed(member.members, rest, **changes)))
        elif member.name == head:
            found.append(msgspec.structs.replace(member, **changes))
        else:
            found.append(member)
    return tuple(found)


def with_run(subject, path, **changes):
    """A subject whose headers have one member of kvm_run changed."""
    run = subject.run
    structs = subject.layout.structs | {
        "kvm_run": msgspec.structs.replace(run, members=changed(run.members, path, **changes))
    }
    return msgspec.structs.replace(subject, layout=msgspec.structs.replace(subject.layout, structs=structs))


def judged(name, subject):
    """The verdict of the claim with this title."""
    return catalogue.load().claim(f"layout.{name}").judge(subject)


def status(name, subject):
    return judged(name, subject).status


@pytest.mark.parametrize(("kernel", "abi"), ALL)
@pytest.mark.parametrize("name", ["kvm_run", "system_event", "union", "constants"])
def test_real_headers_keep_every_promise(subject, kernel, abi, name):
    found = judged(name, subject(kernel, abi))
    assert (found.status, found.mismatches) == (Status.PASS, ())
    assert found.test == f"kvm.system_event.layout.{abi}.{name}"


@pytest.mark.parametrize(
    ("name", "path", "changes"),
    [
        ("kvm_run", "exit_reason", {"offset": 12}),
        ("kvm_run", "flags", {"size": 4}),
        ("kvm_run", "io.data_offset", {"offset": 4}),
        ("kvm_run", "kvm_valid_regs", {"name": "elsewhere"}),
        ("system_event", "system_event.ndata", {"offset": 0}),
        ("system_event", "system_event.data", {"size": 64}),
        ("system_event", "system_event.flags", {"offset": 8}),
        ("union", "padding", {"size": 264}),
        ("union", "tdx", {"offset": 200}),
        ("union", "kvm_valid_regs", {"offset": 296}),
    ],
)
def test_one_member_elsewhere_breaks_the_promise(subject, name, path, changes):
    broken = with_run(subject("7.2", "x86_64"), path, **changes)
    assert broken.run != subject("7.2", "x86_64").run
    assert status(name, broken) is Status.FAIL


def test_the_compiler_is_a_second_witness(subject):
    broken = subject("7.2", "i386")
    broken.layout.asserted["system_event.data"] = 36
    found = judged("system_event", broken)
    assert [wrong.what for wrong in found.mismatches] == ["offsetof system_event.data"]


def test_the_old_definition_is_expected_before_5_18_and_only_there(subject):
    old, new = subject("5.10", "i386"), subject("7.2", "i386")
    assert status("system_event", with_run(old, "system_event.flags", offset=8)) is Status.FAIL
    stuck = msgspec.structs.replace(new, layout=old.layout)  # a kernel of today with the headers of 2020
    assert status("system_event", stuck) is Status.FAIL
    # A vendor's 5.10 with the repair: it says so, and is held to it.
    repaired = msgspec.structs.replace(new, version="5.10.99-vendor")
    assert status("system_event", repaired) is Status.PASS


@pytest.mark.parametrize(
    ("constant", "value"),
    [
        ("KVM_EXIT_SYSTEM_EVENT", 25),
        ("KVM_SYSTEM_EVENT_SUSPEND", 6),  # linux-next's numbering of May 2022
        ("KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2", None),
        ("KVM_CAP_SYSTEM_EVENT_DATA", 214),
        ("KVM_CAP_ARM_SYSTEM_SUSPEND", None),
        ("KVM_GET_ONE_REG", 0x4008AEAB),
    ],
)
def test_a_number_that_changed_or_went_is_seen(subject, constant, value):
    broken = subject("7.2", "arm64")
    if value is None:
        del broken.layout.constants[constant]
    else:
        broken.layout.constants[constant] = value
    (wrong,) = judged("constants", broken).mismatches
    assert wrong.what == constant


def test_hazards_known_are_a_note_and_new_ones_a_failure(subject, make_struct):
    seen = subject("7.2", "i386")
    found = judged("hazards", seen)
    assert found.status is Status.DONE
    assert "kvm_xen_exit" in found.reason
    assert status("hazards", subject("7.2", "x32")) is Status.PASS
    seen.kernel.structs["kvm_new"] = make_struct("kvm_new", 16, type=(0, 4), value=(8, 8))
    seen.layout.structs["kvm_new"] = make_struct("kvm_new", 12, type=(0, 4), value=(4, 8))
    found = judged("hazards", seen)
    assert (found.status, found.mismatches[0].what) == (Status.FAIL, "struct kvm_new")


def running(subject, **changes):
    """A subject with a running kernel's view: its headers' own, without what only userspace sees."""
    run = subject.kernel.structs["kvm_run"]
    held = {leaf.ref for leaf in leaves(run)} & subject.kernel.structs.keys()
    members = (
        changed(run.members, "system_event.flags", name="only_userspace")
        if subject.has_event_data
        else run.members
    )
    members = changed(members, "immediate_exit", name="immediate_exit__unsafe")
    for path, change in changes.items():
        members = changed(members, path.replace("__", "."), **change)
    structs = subject.kernel.structs | {"kvm_run": msgspec.structs.replace(run, members=members)}
    return msgspec.structs.replace(subject, btf=Layout({name: structs[name] for name in ("kvm_run", *held)}))


@pytest.mark.parametrize(
    ("kernel", "abi", "expected"),
    [
        ("7.2", "x86_64", Status.PASS),
        ("7.2", "arm64", Status.PASS),
        ("7.2", "x32", Status.PASS),
        ("7.2", "i386", Status.DONE),  # kvm_xen_exit
        ("5.10", "x86_64", Status.PASS),
        ("5.10", "i386", Status.DONE),
    ],
)
def test_a_running_kernel_is_compared_with_its_headers(subject, kernel, abi, expected):
    found = judged("btf", running(subject(kernel, abi)))
    assert (found.status, found.mismatches) == (expected, ())
    assert found.test == "kvm.system_event.layout.btf"


def test_a_kernel_that_was_compiled_otherwise_fails(subject):
    moved = running(subject("7.2", "x86_64"), system_event__ndata={"offset": 0})
    assert {wrong.what for wrong in judged("btf", moved).mismatches} == {
        "system_event.ndata",
        "kvm_run.system_event.ndata in the headers",
    }
    elsewhere = running(subject("7.2", "x86_64"), memory_fault__gpa={"offset": 24})
    assert status("btf", elsewhere) is Status.FAIL


def test_a_claim_on_the_wrong_subject_is_our_own_mistake(subject):
    with pytest.raises(HarnessError):
        status("btf", subject("7.2", "x86_64"))
    with pytest.raises(HarnessError):
        status("hazards", subject("7.2", "x86_64"))


def test_members_are_found_in_a_tree():
    inner = Member("b", 0, 4, "int")
    assert (
        changed((Member("", 0, 4, "union", kind="union", members=(inner,)),), "b", size=8)[0].members[0].size
        == 8
    )
