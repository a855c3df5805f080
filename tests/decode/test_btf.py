"""The BTF reader: against pahole, which wrote the file, against bpftool, and with damaged bytes."""

import contextlib
import json
import resource
import shutil
import struct
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from sysevent.decode import btf
from sysevent.decode.btf import Btf
from sysevent.decode.structs import Layout
from sysevent.errors import BadWire

DATA = Path(__file__).parents[1] / "data" / "layout"


def build(types, strings=b"\0"):
    """Return BTF with these types, each (name offset, kind, vlen, flag, value, words...)."""
    body = b"".join(
        struct.pack(f"<III{len(words)}I", name, flag << 31 | kind << 24 | vlen, value, *words)
        for name, kind, vlen, flag, value, *words in types
    )
    head = struct.pack("<HBBIIIII", btf.MAGIC, 1, 0, 24, 0, len(body), len(body), len(strings))
    return head + body + strings


@pytest.fixture
def shapes():
    """data/layout/shapes.c, compiled by clang, its DWARF converted to BTF by `pahole -J --btf_gen_all` (1.24)."""
    return Btf((DATA / "shapes.btf").read_bytes())


def bpftool(path):
    """Return the types of a file as bpftool prints them: the installed one, else the recorded output of 7.1."""
    tool = shutil.which("bpftool")
    if tool:
        done = subprocess.run(
            [tool, "btf", "dump", "-j", "file", path], capture_output=True, timeout=60, check=False
        )
        if done.returncode == 0:
            return json.loads(done.stdout)["types"]
    return json.loads((DATA / "shapes.bpftool.json").read_text())


# fmt: off
KINDS = (
    "VOID", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST",
    "RESTRICT", "FUNC", "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
)
# fmt: on


def as_bpftool(reader, number):
    """Return a type of the reader in the form of bpftool's output, without what does not concern a layout."""
    found = reader.type(number)
    shown = {"id": number, "kind": KINDS[found.kind], "name": found.name or "(anon)"}
    if found.kind in (btf.STRUCT, btf.UNION, btf.ENUM, btf.ENUM64, btf.INT, btf.FLOAT):
        shown["size"] = found.value
    elif found.kind not in (btf.ARRAY, btf.FWD):
        shown["type_id"] = found.value
    if found.kind == btf.FUNC_PROTO:
        shown["ret_type_id"] = shown.pop("type_id")
    if found.kind == btf.ARRAY:
        shown |= zip(("type_id", "index_type_id", "nr_elems"), found.words, strict=True)
    if found.kind in (btf.STRUCT, btf.UNION):
        shown["members"] = [
            {"name": reader.string(name) or "(anon)", "type_id": of, "bits": bits}
            for name, of, bits in zip(*[iter(found.words)] * 3, strict=True)
        ]
    return shown


def normalized(entry):
    """Return an entry of bpftool's output without what does not concern a layout."""
    wanted = {
        key: entry[key] for key in ("id", "kind", "name", "size", "type_id", "ret_type_id") if key in entry
    }
    wanted |= {key: entry[key] for key in ("index_type_id", "nr_elems") if key in entry}
    if entry["kind"] in ("STRUCT", "UNION"):
        wanted["members"] = [
            {
                "name": member["name"],
                "type_id": member["type_id"],
                "bits": member.get("bitfield_size", 0) << 24 | member["bits_offset"],
            }
            for member in entry["members"]
        ]
    return wanted


def test_every_type_is_as_in_bpftool(shapes):
    expected = [normalized(entry) for entry in bpftool(str(DATA / "shapes.btf"))]
    assert len(expected) == shapes.end - 1 > 100
    assert [as_bpftool(shapes, entry["id"]) for entry in expected] == expected
    assert {entry["kind"] for entry in expected} >= {"STRUCT", "ENUM64", "FLOAT", "FUNC", "VOLATILE"}


def test_structures_are_as_in_dwarf(shapes):
    """The only difference: pahole merges two dimensions of an array into one."""
    dwarf = msgspec.json.decode((DATA / "shapes.dwarf.json").read_bytes(), type=Layout).structs
    assert {"shapes", "kvm_run", "kvm_xen_exit"} <= dwarf.keys()
    for name, expected in dwarf.items():
        if name == "anonymous_by_typedef":
            # Only a typedef names it.
            continue
        found = shapes.struct(name)
        flat = {member.name: member for member in found.members}
        for member in expected.members:
            if member.type != "int[2][3]":
                assert flat[member.name] == member
        assert (found.kind, found.size, len(flat)) == (expected.kind, expected.size, len(expected.members))


def test_numbers_of_split_btf_continue_those_of_its_base():
    base = Btf(build([(1, btf.INT, 0, 0, 4, 32), (5, btf.STRUCT, 1, 0, 4, 7, 1, 0)], b"\0int\0s\0x\0"))
    assert (base.end, base.string_end) == (3, 9)
    # The module's strings start at offset 9: "m" at 9, "y" at 11. Its struct has the int and the struct s of the base.
    module = Btf(build([(9, btf.STRUCT, 2, 0, 8, 11, 1, 0, 7, 2, 32)], b"m\0y\0"), base)
    found = module.struct("m")
    assert [(member.name, member.offset, member.type) for member in found.members] == [
        ("y", 0, "int"),
        ("x", 4, "struct s"),
    ]
    assert module.struct("s") == base.struct("s")
    assert base.struct("m") is None


def test_reachable_structures(shapes):
    assert {"kvm_run", "kvm_xen_exit", "kvm_regs", "kvm_sregs"} <= shapes.reachable("kvm_run").keys()
    assert shapes.reachable("kvm_nothing") == {}


def test_modifiers_and_tags_are_skipped():
    strings = b"\0s\0m\0int\0tag\0t\0"
    types = [
        (5, btf.INT, 0, 0, 4, 32),
        (9, btf.TYPE_TAG, 0, 0, 1),
        (0, btf.CONST, 0, 0, 2),
        (0, btf.VOLATILE, 0, 0, 3),
        (0, btf.RESTRICT, 0, 0, 4),
        (13, btf.TYPEDEF, 0, 0, 5),
        (1, btf.STRUCT, 1, 0, 4, 3, 6, 0),
        (9, btf.DECL_TAG, 0, 0, 7, 0),
        (3, btf.VAR, 0, 0, 6, 1),
        (1, btf.DATASEC, 1, 0, 4, 9, 0, 4),
        (1, btf.ENUM64, 1, 0, 8, 3, 1, 0),
    ]
    reader = Btf(build(types, strings))
    assert reader.end == 12
    assert [(member.name, member.type, member.size) for member in reader.struct("s").members] == [
        ("m", "t", 4)
    ]


STRUCT = (1, btf.STRUCT, 1, 0, 4)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "too short"),
        (b"\x7fELF" + bytes(40), "not BTF"),
        (build([])[:4] + struct.pack("<IIIII", 24, 0, 4096, 0, 1) + b"\0", "beyond its end"),
        (build([(0, 25, 0, 0, 0)]), "unknown kind 25"),
        (build([(0, btf.STRUCT, 9, 0, 4)]), "beyond its end"),
        (build([(0, btf.INT, 0, 0, 4)]), "beyond its end"),
    ],
)
def test_data_that_is_not_btf_is_rejected(data, words):
    with pytest.raises(BadWire, match=words):
        Btf(data)


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ([(*STRUCT, 1, 99, 0)], "refers to type 99"),
        ([(*STRUCT, 1, 2, 0), (0, btf.CONST, 0, 0, 2)], "refers to itself"),
        ([(*STRUCT, 77, 0, 0)], "refers to a name at 77"),
        # An anonymous struct that contains itself, and one whose members double forty times.
        ([(*STRUCT, 0, 2, 0), (0, btf.STRUCT, 1, 0, 4, 0, 2, 0)], "contains itself"),
        (
            [
                (*STRUCT, 0, 2, 0),
                *((0, btf.STRUCT, 2, 0, 4, 0, n, 0, 0, n, 0) for n in range(3, 43)),
                (0, btf.INT, 0, 0, 4, 32),
            ],
            "types in total",
        ),
    ],
)
def test_invalid_references_from_a_guest_are_rejected(types, words):
    with pytest.raises(BadWire, match=words):
        Btf(build(types, b"\0s\0")).struct("s")


def test_control_characters_in_names_are_replaced():
    assert Btf(build([], b"\0\x1b[2J\0")).string(1) == "?[2J"


def hostile(kind):
    """Return BTF of some hundred kilobytes that means gigabytes, or minutes."""
    members = [word for _ in range(60_000) for word in (1, 2, 0)]
    if kind == "members that each are a struct of 60000 members":
        return build(
            [(1, btf.STRUCT, 60_000, 0, 4, *members), (1, btf.STRUCT, 60_000, 0, 4, *members)], b"\0s\0"
        )
    if kind == "thousands of structs that each contain the others":
        count = 1000
        names = b"\0" + b"".join(b"s%04d\0" % n for n in range(count))
        types = [
            (1 + 6 * n, btf.STRUCT, 60, 0, 4, *(w for m in range(60) for w in (1, (n + m) % count + 1, 0)))
            for n in range(count)
        ]
        return build(types, names)
    if kind == "names without end":
        return build([(at, btf.STRUCT, 0, 0, 4) for at in range(30_000)], bytes(1) + b"s" * 400_000 + b"\0")
    if kind == "long names of many structs":
        strings = b"\0" + b"\0".join(b"x" * 500 for _ in range(100)) + b"\0"
        return build([(1 + at % 50_000, btf.STRUCT, 0, 0, 4) for at in range(60_000)], strings)
    # Arrays of arrays.
    return build(
        [
            (1, btf.STRUCT, 1, 0, 4, 1, 2, 0),
            *((0, btf.ARRAY, 0, 0, 0, n, 1, 2**32 - 1) for n in range(3, 40)),
            (1, btf.INT, 0, 0, 4, 32),
        ],
        b"\0s\0",
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("members that each are a struct of 60000 members", "s"),
        ("thousands of structs that each contain the others", "s0001"),
        ("names without end", "s"),
        ("long names of many structs", "s"),
        ("arrays of arrays", "s"),
    ],
)
def test_time_and_memory_are_linear(kind, name):
    """What a guest reports costs a second and some megabytes at most: an answer, or BadWire."""
    data = hostile(kind)
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(BadWire):
        Btf(data).reachable(name)
    # 0.13 s and 9 MB on a quiet machine.
    assert time.process_time() - begin < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_sizes_fit_into_64_bits():
    """A layout is written to the cache as JSON, whose integers are of 64 bits."""
    with pytest.raises(BadWire, match="array of"):
        Btf(hostile("arrays of arrays")).struct("s")


def test_a_name_is_as_long_as_the_kernel_allows():
    strings = b"\0" + b"x" * 511 + b"\0" + b"y" * 512 + b"\0"
    reader = Btf(build([], strings))
    assert reader.string(1) == "x" * 511
    with pytest.raises(BadWire, match="more than 512 bytes"):
        reader.string(513)
