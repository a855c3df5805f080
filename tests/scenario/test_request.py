"""Scenarios are encoded as requests, and replies are decoded as observations."""

import struct

import pytest

from sysevent import wire
from sysevent.build.programs import Payload
from sysevent.checkout import GUESTS
from sysevent.contract import catalogue
from sysevent.errors import BadWire, GuestLost, HarnessError, NoKvm, NotApplicable, StepRefused, VcpuStuck
from sysevent.model import Answer, RawExit
from sysevent.scenario import cover, ioctls, request
from sysevent.scenario.facts import BUILD, FACTS
from sysevent.scenario.steps import (
    KEEP,
    Device,
    Entry,
    File,
    Ioctl,
    Load,
    Memory,
    Open,
    Program,
    Read,
    Scenario,
    SetRunBytes,
    Sleep,
    Start,
    Step,
    Vcpu,
    Vm,
    Wait,
    Watch,
    Write,
    run,
)
from sysevent.wire import Op, Result, State

CALL = Payload(
    "call", ((0x1000, b"\x90" * 3), (0x2000, b"data")), 0x1000, {"_start": 0x1000, "other": 0x1002}
)
PAYLOADS = {"call": CALL}


def scenario(*steps):
    return Scenario("x86_64.test", "x86_64", steps)


def encode(*steps):
    body, _ = request.encode(scenario(*steps), PAYLOADS)
    return body


# op u16, flags u16, length u32, and the body that guests/vmm/wire.h defines.
STEPS = [
    (Vm(), "0100 0100 08000000  0000000000000000"),
    (Vm(40), "0100 0100 08000000  2800000000000000"),
    (Memory(0x40000000, 0x10000), "0200 0100 18000000  0000004000000000 0000010000000000 00000000 00000000"),
    (Memory(1, 2, 3, 4), "0200 0100 18000000  0100000000000000 0200000000000000 03000000 04000000"),
    (
        Load("call"),
        "0300 0100 0b000000  0010000000000000 909090  0300 0100 0c000000  0020000000000000 64617461",
    ),
    (Write(0x10, b"ab"), "0300 0100 0a000000  1000000000000000 6162"),
    (Read(0x10, 4, "memory"), "0400 0100 0c000000  1000000000000000 04000000"),
    (Vcpu(), "0500 0100 04000000  00000000"),
    (Vcpu(1, (4, 5)), "0500 0100 0c000000  01000000 04000000 05000000"),
    (Entry("call"), "0600 0100 10000000  00000000 00000000 0010000000000000"),
    (
        Entry("call", (1, 1 << 63), 2, "other"),
        "0600 0100 20000000  02000000 00000000 0210000000000000 0100000000000000 0000000000000080",
    ),
    (Ioctl("system", 0xAE03, 215), "0700 0100 10000000  00000000 03ae0000 d700000000000000"),
    (Ioctl("vm", 0xAE03), "0700 0100 10000000  01000000 03ae0000 0000000000000000"),
    (Ioctl(0, 1, buffer=b"xy"), "0700 0100 12000000  02000000 01000000 0000000000000000 7879"),
    (Ioctl(3, 1, buffer=b"z", pointer=(8, 16)), "0700 0100 11000000  05000000 01000000 1000000008000000 7a"),
    (Start(), "0800 0100 08000000  00000000 aa000000"),
    (Start(1, 0x55), "0800 0100 08000000  01000000 55000000"),
    (Start(0, signalled=True), "0800 0100 08000000  00000000 aa020000"),
    (Device(7), "1000 0100 04000000  07000000"),
    (Device(7, "gic"), "1000 0000 04000000  07000000"),
    (Ioctl("device", 1), "0700 0100 10000000  00010000 01000000 0000000000000000"),
    (Start(0, KEEP), "0800 0100 08000000  00000000 00010000"),
    (Wait("exit"), "0900 0000 08000000  00000000 b80b0000"),
    (Wait("exit", 2, 50), "0900 0000 08000000  02000000 32000000"),
    (Sleep(5), "0a00 0100 04000000  05000000"),
    (Watch(0x1000, 7, from_zero=True), "0f00 0100 10000000  0010000000000000 07000000 01000000"),
    (SetRunBytes(1, b"\1", 2), "0c00 0100 09000000  02000000 01000000 01"),
    (Open("/dev/kvm", "open"), "0d00 0000 0c000000  02000000 2f6465762f6b766d"),
    (File("/a", "file", 1, 2), "0e00 0000 0a000000  01000000 02000000 2f61"),
    (cover.Cover("begin", 0x10000), "1200 0000 04000000  00000100"),
    (
        Program(("/a", "b"), "end", 9, ("C=d",), b"in", open=True, merged=True, leave=True, until=b"u"),
        "1100 0000 24000000 09000000 07000000 01000000 02000000 02000000 01000000 75 696e 2f6100 6200 433d6400",
    ),
]


@pytest.mark.parametrize(("step", "literal"), STEPS, ids=lambda value: type(value).__name__)
def test_bytes_of_a_step(step, literal):
    """Each step has the bytes that wire.h defines. A Load has as many as its payload has segments."""
    expected = bytes.fromhex(literal)
    assert encode(step)[8:].hex(" ") == expected.hex(" ")
    assert encode(step)[4:8] == struct.pack("<I", 2 if isinstance(step, Load) else 1)


def test_every_kind_of_step_is_tested():
    """STEPS has every kind of step, and every op of the wire protocol that a request can hold."""
    assert {type(step) for step, _ in STEPS} == set(Step.__args__)
    ops = {int.from_bytes(bytes.fromhex(text)[:2], "little") for _, text in STEPS}
    assert ops == {op.value for op in Op}


def test_file_descriptors_equal_the_vmm_s():
    """The numbers for /dev/kvm, the VM and vCPU 0 are those of wire.h."""
    text = (GUESTS / "vmm" / "wire.h").read_text()
    for name, fd in (("FD_SYSTEM", "system"), ("FD_VM", "vm"), ("FD_VCPU", 0)):
        number = int.from_bytes(encode(Ioctl(fd, 1))[16:20], "little")
        assert f"#define {name} {number}u" in text


def test_the_deadline_covers_every_wait():
    """The deadline is the sum of all waits and sleeps, with slack for each wait and for the rest."""
    asked = scenario(Vm(), *run("a", milliseconds=100), Sleep(50), *run("b"))
    body, deadline = request.encode(asked, PAYLOADS)
    assert deadline == 2000 + (100 + 2000) + 50 + (3000 + 2000)
    assert int.from_bytes(body[:4], "little") == deadline


ALL = catalogue.load().scenarios | {
    asked.name: asked for arch in FACTS for asked in (*FACTS[arch], BUILD[arch])
}


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_scenario_encodes(name):
    """Its request fits into a frame, and a reply of successes decodes into its labels, each used once.

    The payloads are stand-ins that have every label; the real ones must exist as files.
    """
    found = ALL[name]

    class Anywhere(dict):
        def __missing__(self, label):
            return 0x1000

    fakes = {payload: Payload(payload, ((0, b"x"), (8, b"y")), 0, Anywhere()) for payload in found.payloads}
    body, deadline = request.encode(found, fakes)
    assert len(body) <= wire.BODY_MAX
    assert deadline < 60_000 or found.runs_programs
    count = int.from_bytes(body[4:8], "little")
    assert count == len(found.steps) + sum(isinstance(step, Load) for step in found.steps)
    results = []
    for step in found.steps:
        results += [done(step)] * (2 if isinstance(step, Load) else 1)
    seen = request.decode(found, fakes, "abi", wire.Reply(State.DONE, 0, tuple(results)))
    labels = [step.label for step in found.steps if getattr(step, "label", "")]
    assert sorted([*seen.exits, *seen.answers]) == sorted(labels), "two steps share a label"
    assert found.arch == name.partition(".")[0]
    for payload in found.payloads:
        assert (GUESTS / "payloads" / found.arch / f"{payload}.S").is_file()


def exit_body(head=bytes(320), registers=(), microseconds=7, changed=0, first=0, tail=b""):
    fixed = struct.pack("<IIIIII", microseconds, changed, first, len(registers), len(tail), 5)
    return fixed + head + struct.pack(f"<{len(registers)}Q", *registers) + tail


def done(step):
    """Return the result of a step that succeeded."""
    body = b""
    match step:
        case Wait():
            body = exit_body()
        case Read(_, length):
            body = bytes(length)
        case Ioctl():
            body = step.buffer
    return Result(request.OPS[type(step)], 0, 0, 0, body)


def decode(steps, *results, state=State.DONE, detail=0):
    return request.decode(scenario(*steps), PAYLOADS, "i386", wire.Reply(state, detail, results))


def test_observation():
    """Labelled results are found under their labels, and exits with the poison of the start before them."""
    steps = (
        Load("call"),
        Read(0, 4, "memory"),
        Sleep(1),
        Start(0, 0x55),
        Start(1, KEEP),
        Wait("first", 0),
        Wait("second", 1),
        ioctls.check_extension("vm", 215),
    )
    head = bytes(range(256)) + bytes(64)
    seen = decode(
        steps,
        *[Result(Op.WRITE, 0, 0, 0, b"")] * 2,
        Result(Op.READ, 0, 0, 0, b"1234"),
        Result(Op.SLEEP, 0, 0, 0, b""),
        *[Result(Op.START, 0, 0, 0, b"")] * 2,
        Result(Op.WAIT, 0, 0, 0, exit_body(head, (1, 2), 9, 3, 400, b"ab\x55c")),
        Result(Op.WAIT, wire.EXIT_KICKED, -1, 4, exit_body()),
        Result(Op.IOCTL, 0, 1, 0, b""),
    )
    assert (seen.scenario, seen.arch, seen.abi) == ("x86_64.test", "x86_64", "i386")
    assert seen.exits == {
        "first": RawExit(0, 0, False, 9, 0x55, head, 3, 400, (1, 2), b"ab\x55c", 5),
        "second": RawExit(-1, 4, True, 7, None, bytes(320), 0, 0, (), b"", 5),
    }
    assert seen.answers == {"memory": Answer(0, 0, b"1234"), "vm/215": Answer(1, 0, b"")}
    assert seen.symbols == {"call._start": 0x1000, "call.other": 0x1002}


def test_a_truncated_exit():
    """BadWire if the result of a Wait does not hold an exit."""
    with pytest.raises(BadWire, match="an exit of 0 bytes"):
        decode((Wait("exit"),), Result(Op.WAIT, 0, -1, 22, b""))


def test_results_of_other_steps():
    """BadWire if the results are not those of the steps."""
    with pytest.raises(BadWire):
        decode(
            (Sleep(1), Read(0, 4, "memory")),
            Result(Op.READ, 0, 0, 0, b"1234"),
            Result(Op.SLEEP, 0, 0, 0, b""),
        )


REFUSED = Result(Op.IOCTL, 0, -1, 22, b"")


@pytest.mark.parametrize(
    ("state", "detail", "results", "error", "words"),
    [
        (State.STUCK, 3, (), VcpuStuck, "KVM_RUN in step 3 returned neither by itself nor after a signal"),
        (State.HUNG, 0, (), VcpuStuck, "gave no answer before its deadline and was killed"),
        (
            State.STOPPED,
            0,
            (Result(Op.VM, 0, -1, 2, b""),),
            NoKvm,
            r"/dev/kvm cannot be used there \(errno 2 ",
        ),
        (State.STOPPED, 0, (Result(Op.VM, 0, -1, 19, b""),), NoKvm, r"errno 19 \(ENODEV\)"),
        (State.STOPPED, 0, (Result(Op.VM, 0, -1, 13, b""),), NoKvm, r"errno 13 \(EACCES\)"),
        (State.STOPPED, 0, (Result(Op.VM, 0, -1, 16, b""),), NoKvm, r"errno 16 \(EBUSY\)"),
        (State.STOPPED, 0, (Result(Op.VM, 0, -1, 25, b""),), NoKvm, r"errno 25 \(ENOTTY\)"),
        (State.STOPPED, 0, (Result(Op.VM, 0, -1, 12, b""),), GuestLost, r"no VM can be created .*ENOMEM"),
        (
            State.DIED,
            9,
            (),
            GuestLost,
            r"ended by signal 9, which the kernel \(out of memory\) or another program",
        ),
        (State.NO_WORKER, 11, (), GuestLost, r"no VMM can be started there now \(.*EAGAIN.*short of memory"),
        (State.STOPPED, 0, (Result(Op.VM, 0, -1, 22, b""),), StepRefused, "VM gave errno 22"),
        (State.STOPPED, 5, (REFUSED,), StepRefused, r"step 5, .* refused: IOCTL gave errno 22 \(EINVAL\)"),
        (State.DIED, 11, (), HarnessError, "the VMM died of signal 11"),
        (State.DIED, -13, (), HarnessError, "the VMM died with exit code 13"),
        (State.DIED, -8, (), NotApplicable, "this kernel does not run programs of that ABI"),
        (State.NO_WORKER, 2, (), HarnessError, r"no VMM of this ABI can be started there \(errno 2\)"),
        (State.BAD, 1, (REFUSED,), HarnessError, "found step 1 malformed"),
        (State.BAD, 0, (), HarnessError, "found step 0 malformed .no step ran"),
        (State.BAD, 0, (Result(99, 0, -1, 22, b""),), HarnessError, "step 0 malformed"),
    ],
)
def test_every_bad_state_has_its_error(state, detail, results, error, words):
    """Each state of a reply but DONE raises the error of its cause, with the errno by name."""
    with pytest.raises(error, match=words) as raised:
        decode((Sleep(1),), *results, state=state, detail=detail)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("step", "request_", "buffer"),
    [
        (ioctls.check_extension("vm", 216), 0xAE03, b""),
        (ioctls.get_mp_state(0, "x"), 0x8004AE98, b"\xff" * 4),
        (ioctls.set_mp_state(0, 10), 0x4004AE99, b"\x0a\0\0\0"),
        (ioctls.get_one_reg(0, 7, "x"), 0x4010AEAB, struct.pack("<QQQ", 7, 0, 0)),
        (ioctls.set_one_reg(0, 7, 8), 0x4010AEAC, struct.pack("<QQQ", 7, 0, 8)),
        (ioctls.enable_cap("vm", 216), 0x4068AEA3, struct.pack("<I", 216) + bytes(100)),
        (ioctls.enable_cap("vm", 1, 2, 3, flags=4), 0x4068AEA3, struct.pack("<II2Q", 1, 4, 2, 3) + bytes(80)),
    ],
)
def test_ioctls(step, request_, buffer):
    """Each ioctl has its number and its structure, whose size is part of the number.

    KVM_GET_ONE_REG and KVM_SET_ONE_REG carry the register's value behind their structure of 16 bytes.
    """
    assert (step.request, step.buffer) == (request_, buffer)
    size = request_ >> 16 & 0x3FFF
    assert size == (16 if step.pointer else len(buffer))
