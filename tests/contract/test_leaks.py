"""A kernel address behind the members of an exit is a FAIL of every claim about it; nothing else is."""

import struct

import msgspec
import pytest

from sysevent.abi import kvm_run
from sysevent.abi.exits import ExitReason
from sysevent.abi.kernel_addresses import KERNEL_ADDRESSES, is_kernel_address
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.leaks import leaks
from sysevent.model import Level, Observation, RawExit, Status
from sysevent.scenario.steps import Entry, Ioctl, Scenario, SetRunBytes

POISON = 0xAA
RECORDINGS = ("debian-5.10", "debian-6.1", "debian-6.12", "debian-7.2", "debian-newest")
# An address of each architecture's direct mapping, and of its text or modules.
ADDRESSES = {
    "arm64": (0xFFFF_0000_C123_4560, 0xFFFF_8000_8012_3458, 0xFFF0_0000_1234_5678, 0xFFFF_FFC0_0812_3458),
    "riscv64": (0xFFFF_FFD8_0123_4560, 0xFFFF_FFFF_8012_3458, 0xFF60_0000_0123_4560, 0xFFFF_AF80_0123_4560),
    "x86_64": (0xFFFF_8880_0123_4560, 0xFFFF_FFFF_8112_3458, 0xFFFF_C900_0012_3E80, 0xFF11_0000_0123_4560),
}
EACH = pytest.mark.parametrize(("arch", "address"), [(a, n) for a, all_ in ADDRESSES.items() for n in all_])


def page(reason=ExitReason.SYSTEM_EVENT, ndata=1, poison=POISON):
    """kvm_run's page after an exit that wrote its own members and nothing else."""
    data = bytearray([poison]) * 4096
    data[0:32] = bytes(32)
    data[288:312] = bytes(24)
    struct.pack_into("<I", data, 8, reason)
    if reason == ExitReason.SYSTEM_EVENT:
        struct.pack_into("<II", data, 32, 2, ndata)
        data[40 : 40 + 8 * min(ndata, 16)] = bytes(8 * min(ndata, 16))
    return data


def seen(data, arch, registers=(), poison=POISON):
    """The observation of that page."""
    changed = [n for n in range(320, 4096) if data[n] != poison] if poison is not None else []
    first, tail = (changed[0], bytes(data[changed[0] : changed[-1] + 1])) if changed else (0, b"")
    raw = RawExit(0, 0, False, 1, poison, bytes(data[:320]), len(changed), first, registers, tail)
    return Observation(f"{arch}.x", arch, arch, {"exit": raw}, {}, {})


def asked(arch, *steps):
    return Scenario(f"{arch}.x", arch, steps)


@EACH
def test_an_address_at_each_offset(arch, address):
    """Behind data[ndata), in the rest of the union, and in the rest of the page, aligned or not."""
    for offset in range(48, 4096 - 7):
        data = page()
        struct.pack_into("<Q", data, offset, address)
        found = leaks(asked(arch), seen(data, arch))
        # The VMM fills the members from 288 to 312 with zeros, which can be taken for the lowest byte.
        assert found, offset
        if not 280 < offset < 320:
            assert [wrong.span for wrong in found] == [(offset, offset + 8)], offset
            assert f"{address:#x}" in found[0].got


@EACH
@pytest.mark.parametrize("ndata", range(17))
def test_the_first_element_that_is_not_announced(arch, address, ndata):
    """data[ndata] is behind the event's members, data[ndata - 1] is not."""
    if ndata < 16:
        data = page(ndata=ndata)
        struct.pack_into("<Q", data, kvm_run.DATA[ndata].offset, address)
        assert leaks(asked(arch), seen(data, arch))
    if ndata:
        data = page(ndata=ndata)
        struct.pack_into("<Q", data, kvm_run.DATA[ndata - 1].offset, address)
        assert not leaks(asked(arch), seen(data, arch))


@EACH
@pytest.mark.parametrize(
    ("reason", "size"),
    [
        (ExitReason.SHUTDOWN, 0),
        (ExitReason.INTR, 0),
        (ExitReason.IO, 16),
        (ExitReason.MMIO, 24),
        (0xAAAAAAAA, 0),
    ],
)
def test_other_exits(arch, address, reason, size):
    """The union behind the members of any exit, also if KVM_RUN wrote no exit reason."""
    data = page(reason)
    struct.pack_into("<Q", data, 32 + size, address)
    assert leaks(asked(arch), seen(data, arch))


def test_an_exit_that_is_not_known():
    """All of the union may be its own; what is behind the union is not."""
    data = page(99)
    struct.pack_into("<Q", data, 200, ADDRESSES["x86_64"][0])
    assert not leaks(asked("x86_64"), seen(data, "x86_64"))
    struct.pack_into("<Q", data, 400, ADDRESSES["x86_64"][0])
    assert leaks(asked("x86_64"), seen(data, "x86_64"))


@EACH
def test_without_poison(arch, address):
    """Bytes that were left as they were hold no kernel address either."""
    data = page(poison=0)
    struct.pack_into("<Q", data, 104, address)
    assert leaks(asked(arch), seen(data, arch, poison=None))


@pytest.mark.parametrize("arch", ADDRESSES)
@pytest.mark.parametrize(
    "value",
    [
        *(struct.pack("<q", -number) for number in (1, 2, 22, 4095, 4096)),
        struct.pack("<i", -1),
        struct.pack("<ii", 0, -1),
        struct.pack("<ii", -1, -1),
        struct.pack("<Ii", 5, -1),
        struct.pack("<Q", 0x7FFF_FFFF_F000),
        struct.pack("<Q", 0xAAAA_AAAA_AAAA_AAAA),
        bytes(8),
        b"\xff" * 16,
        b"\xff\xff",
    ],
    ids=lambda value: value.hex(),
)
def test_other_numbers(arch, value):
    """Errnos and other small negative numbers, halves of them beside poison or zeros, and addresses of userspace."""
    for offset in range(48, 4096 - 16, 4):
        data = page()
        data[offset : offset + len(value)] = value
        assert not leaks(asked(arch), seen(data, arch)), offset


@EACH
def test_numbers_of_the_scenario_itself(arch, address):
    """What it put into registers or buffers, or the guest computed, was not leaked."""
    data = page()
    struct.pack_into("<Q", data, 104, address)
    steps = (
        Entry("x", (1, address)),
        Ioctl("vm", 1, address),
        Ioctl("vm", 1, buffer=b"x" + struct.pack("<Q", address)),
        SetRunBytes(64, struct.pack("<Q", address)),
    )
    for step in steps:
        assert not leaks(asked(arch, step), seen(data, arch))
    assert not leaks(asked(arch), seen(data, arch, registers=(0, address)))


def test_synchronised_registers():
    """With kvm_valid_regs set, KVM writes the registers behind the union; behind those nothing is."""
    step = SetRunBytes(kvm_run.VALID_REGS.offset, struct.pack("<Q", 1))
    for offset, leaked in ((400, False), (816, False), (824, True)):
        data = page()
        struct.pack_into("<Q", data, offset, ADDRESSES["x86_64"][0])
        assert bool(leaks(asked("x86_64", step), seen(data, "x86_64"))) is leaked


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_recorded_kernel_leaks(recording, name):
    """No exit of any recorded run holds a kernel address."""
    scenarios, count = catalogue.load().scenarios, 0
    for (_, scenario, _), observation in recording(name).seen.items():
        steps = scenarios[scenario].steps if scenario in scenarios else ()
        assert leaks(Scenario(scenario, observation.arch, steps), observation) == ()
        count += len(observation.exits)
    assert count > 50


@pytest.mark.parametrize("level", Level)
def test_a_leak_is_fail_at_every_level(recording, level):
    """Also of a claim about behaviour that is only observed; the reason has the offset and the value."""
    found = recording("debian-6.12")
    claim = msgspec.structs.replace(catalogue.load().claim("arm64.psci.off"), level=level)
    observation = found.of("arm64-tcg", claim.asks.name)
    raw = observation.exits["exit"]
    head = raw.head[:80] + struct.pack("<Q", 0xFFFF_0000_C123_4560) + raw.head[88:]
    exits = {"exit": msgspec.structs.replace(raw, head=head)}
    evidence = ExitEvidence(found.facts["arm64-tcg"], msgspec.structs.replace(observation, exits=exits))
    verdict = claim.judge(evidence)
    assert verdict.status is Status.FAIL
    assert verdict.reason.startswith("bytes 80..87 of kvm_run: got 0xffff0000c1234560, which looks like")


def test_ranges_begin_with_0xff():
    """The search relies on the highest byte."""
    for arch, ranges in KERNEL_ADDRESSES.items():
        for start, end in ranges:
            assert start >> 56 == (end - 1) >> 56 == 0xFF
            assert is_kernel_address(start, arch)
            assert not is_kernel_address(end, arch)
