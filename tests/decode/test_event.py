"""Decoded raw exits, and the offsets that must never change."""

import re

import msgspec
import pytest

from sysevent.abi import kvm_run, names
from sysevent.abi.registers import PC, REGISTERS
from sysevent.checkout import GUESTS
from sysevent.decode.event import decode, ranges
from sysevent.model import RawExit

POISON = 0xAA


def raw(*written, poison=POISON, registers=()):
    """Return an exit in which only these (offset, bytes) are written."""
    head = bytearray([POISON]) * 320
    for offset, data in written:
        head[offset : offset + len(data)] = data
    return RawExit(0, 0, False, 1, poison, bytes(head), 0, 0, tuple(registers))


@pytest.mark.parametrize(
    ("name", "offset", "size"),
    [
        ("immediate_exit", 1, 1),
        ("exit_reason", 8, 4),
        ("ready_for_interrupt_injection", 12, 1),
        ("if_flag", 13, 1),
        ("run.flags", 14, 2),
        ("type", 32, 4),
        ("ndata", 36, 4),
        ("data[0]", 40, 8),
        ("flags", 40, 8),
        ("data[1]", 48, 8),
        ("data[15]", 160, 8),
        ("kvm_valid_regs", 288, 8),
        ("kvm_dirty_regs", 296, 8),
        ("mmio.phys_addr", 32, 8),
        ("io.count", 36, 4),
        ("io.data_offset", 40, 8),
    ],
)
def test_a_field_is_exactly_these_bytes(name, offset, size):
    """Little-endian; no other byte has an influence."""
    value = bytes(range(1, size + 1))
    event = decode(raw((offset, value)), "arm64")
    assert event.field(name) == int.from_bytes(value, "little")
    assert kvm_run.FIELDS[name].span == (offset, offset + size)
    for at in range(320):
        if not offset <= at < offset + size:
            assert decode(raw((offset, value), (at, b"\x55")), "arm64").field(name) == event.field(name)


def test_the_structure_ends_after_sixteen_data_words():
    assert len(kvm_run.DATA) == 16
    assert kvm_run.DATA[-1].span[1] == 168


def test_no_such_field():
    with pytest.raises(KeyError):
        decode(raw(), "arm64").field("data[16]")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ([], ()),
        ([(32, bytes(136))], ((32, 168),)),
        ([(32, b"\1\0\0\0")], ((32, 36),)),
        ([(32, b"\1"), (40, bytes(8)), (287, b"\0")], ((32, 33), (40, 48), (287, 288))),
        ([(31, b"\0"), (288, bytes(32)), (8, b"\x18\0\0\0")], ()),
        ([(32, bytes(256))], ((32, 288),)),
        ([(36, bytes([POISON] * 4))], ()),
    ],
)
def test_written_ranges(written, found):
    """Only of the union. A byte that the kernel writes with the poison's value is not detected."""
    assert decode(raw(*written), "x86_64").written == found


def test_without_poison_no_range_is_reported():
    assert decode(raw((32, bytes(8)), poison=None), "x86_64").written == ()


def test_another_poison():
    assert decode(raw((40, b"\0"), poison=0x55), "x86_64").written == ((32, 288),)


def test_ranges():
    assert ranges([]) == ()
    assert ranges([5]) == ((5, 6),)
    assert ranges([0, 1, 2, 4, 5, 9]) == ((0, 3), (4, 6), (9, 10))


def test_registers_by_name():
    """In the order in which the VMM reads them."""
    event = decode(raw(registers=range(34)), "arm64")
    assert (event.registers["x0"], event.registers["x30"], event.registers["sp"]) == (0, 30, 31)
    assert (event.registers["pc"], event.registers["pstate"]) == (32, 33)
    riscv = decode(raw(registers=range(33)), "riscv64").registers
    names = ("pc", "ra", "sp", "s0", "a0", "a7", "s2", "s11", "t3", "t6", "mode")
    assert tuple(riscv[name] for name in names) == (0, 1, 2, 8, 10, 17, 18, 27, 28, 31, 32)
    x86 = decode(raw(registers=range(21)), "x86_64").registers
    names = ("rax", "rsi", "rsp", "r8", "rip", "rflags", "cs.base", "cr0")
    assert tuple(x86[name] for name in names) == (0, 4, 6, 8, 16, 17, 18, 20)


@pytest.mark.parametrize("count", [0, 33, 35])
def test_registers_of_unexpected_number_are_ignored(count):
    assert decode(raw(registers=range(count)), "arm64").registers == {}


@pytest.mark.parametrize(("arch", "count"), [("arm64", 34), ("riscv64", 33), ("x86_64", 21)])
def test_register_tables_match_the_vmm(arch, count):
    """Each name once, and as many as guests/vmm/arch/ reads."""
    assert len(REGISTERS[arch]) == len(set(REGISTERS[arch])) == count
    assert PC[arch] in REGISTERS[arch]
    source = (GUESTS / "vmm" / "arch" / f"{'x86' if arch == 'x86_64' else arch}.c").read_text()
    if arch == "arm64":
        special = re.search(r"special\[\] = \{([^}]*)\}", source)[1].split(",")
        assert [name.strip() for name in special] == ["CORE_SP", "CORE_PC", "CORE_PSTATE"]
        read = int(re.search(r"i < (\d+) \+ LENGTH\(special\)", source)[1]) + len(special)
    elif arch == "riscv64":
        read = int(re.search(r"#define CORE_COUNT (\d+)", source)[1])
    else:
        read = int(re.search(r"#define REGS (\d+)", source)[1]) + int(
            re.search(r"return REGS \+ (\d+)", source)[1]
        )
    assert read == count


@pytest.mark.parametrize("name", ["debian-5.10", "debian-6.12", "debian-newest"])
def test_recorded_exits_have_all_their_registers(recording, name):
    """Recorded from the VMM of every ABI on real kernels."""
    for (_, scenario, _), seen in recording(name).seen.items():
        for label, exit_ in seen.exits.items():
            assert len(decode(exit_, seen.arch).registers) == len(REGISTERS[seen.arch]), f"{scenario} {label}"


@pytest.mark.parametrize(
    ("exit_", "text"),
    [
        (
            raw((8, b"\x18\0\0\0"), (32, b"\2\0\0\0\1\0\0\0\1" + bytes(7))),
            "exit 24 (SYSTEM_EVENT) type 2 (RESET) ndata 1 data[0] 0x1",
        ),
        (raw((8, b"\x08\0\0\0")), "exit 8 (SHUTDOWN)"),
        (raw((8, b"\x63\0\0\0")), "exit 99"),
        (raw(), "exit 0xaaaaaaaa"),
        (msgspec.structs.replace(raw(), ret=-1, errno=4), "KVM_RUN failed with errno 4 (EINTR)"),
    ],
)
def test_str(exit_, text):
    assert str(decode(exit_, "arm64")) == text


def test_names():
    assert names.event_type(7) == "7 (TDX_FATAL)"
    assert names.event_type(8) == "8"
    assert names.errno(200) == "200"
