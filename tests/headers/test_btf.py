"""Our reader of BTF against pahole, which wrote what it reads, bpftool, and bytes that mean ill."""

import json
import shutil
import struct
import subprocess

import msgspec
import pytest

from sysevent.decode import btf
from sysevent.decode.btf import Btf
from sysevent.decode.structs import Layout
from sysevent.errors import BadWire


def build(types, strings=b"\0"):
    """BTF of these types, each (name offset, kind, vlen, flag, value, words...)."""
    body = b"".join(
        struct.pack(f"<III{len(words)}I", name, flag << 31 | kind << 24 | vlen, value, *words)
        for name, kind, vlen, flag, value, *words in types
    )
    head = struct.pack("<HBBIIIII", btf.MAGIC, 1, 0, 24, 0, len(body), len(body), len(strings))
    return head + body + strings


@pytest.fixture
def shapes(data):
    """data/layout/shapes.c, compiled by clang, its DWARF turned into BTF by `pahole -J --btf_gen_all` (1.24)."""
    return Btf((data / "shapes.btf").read_bytes())


def bpftool(data, path):
    """What bpftool 7.1 says of a file: now, where it is installed, else when that was recorded."""
    tool = shutil.which("bpftool")
    if tool:
        done = subprocess.run(
            [tool, "btf", "dump", "-j", "file", path], capture_output=True, timeout=60, check=False
        )
        if done.returncode == 0:
            return json.loads(done.stdout)["types"]
    return json.loads((data / "shapes.bpftool.json").read_text())


KINDS = (
    *("VOID", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST"),
    *("RESTRICT", "FUNC", "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64"),
)


def told(reader, number):
    """A type of ours in bpftool's words, as far as they bear on a layout."""
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


def theirs(entry):
    """An entry of bpftool's in the same form."""
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


def test_every_type_is_as_bpftool_says(data, shapes):
    expected = [theirs(entry) for entry in bpftool(data, str(data / "shapes.btf"))]
    assert len(expected) == shapes.end - 1 > 100
    assert [told(shapes, entry["id"]) for entry in expected] == expected
    assert {entry["kind"] for entry in expected} >= {"STRUCT", "ENUM64", "FLOAT", "FUNC", "VOLATILE"}


def test_structures_are_as_in_dwarf(data, shapes):
    """pahole makes one dimension of two, and that is all that is lost."""
    dwarf = msgspec.json.decode((data / "shapes.dwarf.json").read_bytes(), type=Layout).structs
    assert {"shapes", "kvm_run", "kvm_xen_exit"} <= dwarf.keys()
    for name, expected in dwarf.items():
        if name == "anonymous_by_typedef":
            continue  # a name that only a typedef gives
        found = shapes.struct(name)
        flat = {member.name: member for member in found.members}
        for member in expected.members:
            if member.type != "int[2][3]":
                assert flat[member.name] == member
        assert (found.kind, found.size, len(flat)) == (expected.kind, expected.size, len(expected.members))


def test_split_btf_goes_on_where_its_base_ends():
    base = Btf(build([(1, btf.INT, 0, 0, 4, 32), (5, btf.STRUCT, 1, 0, 4, 7, 1, 0)], b"\0int\0s\0x\0"))
    assert (base.end, base.string_end) == (3, 9)
    # The module's own strings count from 9: "m" at 9, "y" at 11. Its struct has base's int and base's struct s.
    module = Btf(build([(9, btf.STRUCT, 2, 0, 8, 11, 1, 0, 7, 2, 32)], b"m\0y\0"), base)
    found = module.struct("m")
    assert [(member.name, member.offset, member.type) for member in found.members] == [
        ("y", 0, "int"),
        ("x", 4, "struct s"),
    ]
    assert module.struct("s") == base.struct("s")
    assert base.struct("m") is None


def test_a_structure_brings_what_it_holds(shapes):
    assert {"kvm_run", "kvm_xen_exit", "kvm_regs", "kvm_sregs"} <= shapes.reachable("kvm_run").keys()
    assert shapes.reachable("kvm_nothing") == {}


def test_modifiers_and_tags_are_looked_through():
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
def test_what_is_no_btf_is_refused(data, words):
    with pytest.raises(BadWire, match=words):
        Btf(data)


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ([(*STRUCT, 1, 99, 0)], "refers to type 99"),
        ([(*STRUCT, 1, 2, 0), (0, btf.CONST, 0, 0, 2)], "round in a circle"),
        ([(*STRUCT, 77, 0, 0)], "refers to a name at 77"),
        # An anonymous struct that holds itself, and one that doubles forty times
        ([(*STRUCT, 0, 2, 0), (0, btf.STRUCT, 1, 0, 4, 0, 2, 0)], "holds itself"),
        (
            [
                (*STRUCT, 0, 2, 0),
                *((0, btf.STRUCT, 2, 0, 4, 0, n, 0, 0, n, 0) for n in range(3, 43)),
                (0, btf.INT, 0, 0, 4, 32),
            ],
            "members inside each other",
        ),
    ],
)
def test_a_guest_cannot_lead_the_reader_astray(types, words):
    with pytest.raises(BadWire, match=words):
        Btf(build(types, b"\0s\0")).struct("s")


def test_names_from_a_guest_are_harmless_on_a_terminal():
    assert Btf(build([], b"\0\x1b[2J\0")).string(1) == "?[2J"
