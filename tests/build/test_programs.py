"""When programs are compiled, and the content of a payload's ELF file."""

import shutil
import struct

import msgspec
import pytest
from faults import DAMAGE

from sysevent import settings
from sysevent.build import compiler, programs
from sysevent.errors import BuildFailed, HarnessError


@pytest.fixture
def build(arch, cache, cc, sources):
    """build(): compile the three kinds of programs, and return their paths by kind."""

    def run():
        return {
            "vmm": programs.vmm(arch, arch.abis[0], cache).path,
            "init": programs.init(arch, cache).path,
            "payload": programs._compile(
                "payload-call",
                arch.abis[0],
                (),
                [sources / "payloads/riscv64/call.S"],
                [sources / "payloads/riscv64/payload.ld"],
                cache,
                script=sources / "payloads/riscv64/payload.ld",
            ).path,
        }

    return run


def test_built_once(build, cc):
    """The second time no compiler is run; no temporary file is left."""
    first = build()
    assert len(cc.calls) == 3
    assert build() == first
    assert len(cc.calls) == 3
    assert all(path.read_text() == "built\n" for path in first.values())
    seals = [path.with_name(f"{path.name}.sha256") for path in first.values()]
    assert sorted(next(iter(first.values())).parent.iterdir()) == sorted([*first.values(), *seals])


def test_any_path(arch, tmp_path, monkeypatch):
    """With the real compiler, the checkout and the cache in paths with what compilers take as their own."""
    monkeypatch.delenv("CC_riscv64", raising=False)
    pytest.importorskip("ziglang")
    odd = tmp_path / "a, b:c%d'e#f$g"
    shutil.copytree(programs.PAYLOADS, odd / "payloads")
    monkeypatch.setattr(programs, "PAYLOADS", odd / "payloads")
    kept = msgspec.structs.replace(settings.from_environment(), cache=odd / "cache")
    assert "_start" in programs.payload(arch, "call", kept).symbols
    assert list((odd / "cache" / "build").glob("payload-call-*"))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_program_is_built_again(build, cc, damage):
    """The file in the cache is then as before."""
    first = build()
    path = first["vmm"]
    DAMAGE[damage](path)
    assert build() == first
    assert len(cc.calls) == 4
    assert path.read_bytes() == b"built\n"


def test_a_damaged_payload_is_read_again(arch, cache, cc, sources, tmp_path):
    """Its segments come from the program, not from the file that repeats them."""
    (tmp_path / "elf").write_bytes(elf([(0x1000, b"code", 4)]))
    cc.set_script(f'while [ "$1" != "-o" ]; do shift; done; cp {tmp_path}/elf "$2"')
    first = programs.payload(arch, "call", cache)
    (note,) = (cache.cache / "build").glob("*.json")
    note.write_bytes(note.read_bytes().replace(b'"entry":4096', b'"entry":4097'))
    assert programs.payload(arch, "call", cache) == first
    assert len(cc.calls) == 1


def test_the_cache_is_optional(arch, cache, cc, sources):
    """Where it cannot be written to, a program is built for this run alone."""
    cache.cache.write_text("not a directory")
    assert programs.init(arch, cache).content == b"built\n"


def test_two_checkouts_share_builds(build, sources, tmp_path, monkeypatch):
    """The key, which a VMM sends as its build ID, has the content of all files and the path of none."""
    first = build()
    shutil.copytree(sources, tmp_path / "other" / "guests")
    for name in ("VMM", "INIT", "PAYLOADS"):
        monkeypatch.setattr(programs, name, tmp_path / "other" / "guests" / name.lower())
    assert {name: path for name, path in build().items() if name != "payload"} == {
        name: path for name, path in first.items() if name != "payload"
    }


@pytest.mark.parametrize(
    ("file", "rebuilt"),
    [
        ("vmm/main.c", {"vmm"}),
        ("vmm/frame.c", {"vmm"}),
        ("vmm/arch/riscv64.c", {"vmm"}),
        ("vmm/runtime.c", {"vmm", "init"}),
        ("vmm/wire.h", {"vmm", "init"}),
        ("vmm/sys/riscv64.h", {"vmm", "init"}),
        ("init/init.c", {"init"}),
        ("init/parameters.h", {"init"}),
        ("payloads/riscv64/call.S", {"payload"}),
        ("payloads/riscv64/payload.ld", {"payload"}),
    ],
)
def test_a_changed_file(build, sources, file, rebuilt):
    """Only the programs that contain it are compiled again; after the change is undone, the old ones are used."""
    first = build()
    old = (sources / file).read_text()
    (sources / file).write_text(old + " ")
    second = build()
    assert {name for name in first if first[name] != second[name]} == rebuilt
    (sources / file).write_text(old)
    assert build() == first


def test_another_compiler_builds_again(build, cc):
    first = build()
    cc.set_version("fake 1.1")
    assert not set(build().values()) & set(first.values())


def test_another_compiler_of_one_version_builds_again(build, cc):
    """A compiler that was rebuilt with a patch has another content."""
    first = build()
    cc.set_script('while [ "$1" != "-o" ]; do shift; done; echo else > "$2"')
    assert not set(build().values()) & set(first.values())


def test_the_same_compiler_elsewhere_builds_nothing(build, cc, tmp_path, monkeypatch):
    """It is identified by version and content."""
    first = build()
    monkeypatch.setenv("CC_riscv64", str(cc.path.rename(tmp_path / "moved")))
    assert build() == first


def test_other_flags_build_again(build, monkeypatch):
    first = build()
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-O3"))
    assert not set(build().values()) & set(first.values())


def test_a_vmm_contains_its_build_id(arch, cache, cc, sources):
    """The one in its file's name; it sends it in HELLO."""
    found = programs.vmm(arch, arch.abis[0], cache)
    assert found.path.name == f"vmm-riscv64-{found.build_id}"
    assert f'-DBUILD_ID="{found.build_id}"' in cc.calls[0]
    assert "-mabi=lp64d" in cc.calls[0]


def test_no_such_payload(arch, cache):
    """An error of the harness, not of the machine."""
    with pytest.raises(
        HarnessError, match=r"no payload 'nonsense' for riscv64: .*/nonsense.S does not exist"
    ):
        programs.payload(arch, "nonsense", cache)


def elf(segments, symbols=(), entry=0x1000):
    """Return a 64-bit ELF program: segments (address, bytes, size in memory), symbols (name, value, binding)."""
    count = len(segments)
    at = 64 + 56 * count
    body, headers = b"", b""
    for address, data, size in segments:
        headers += struct.pack("<IIQQQQQQ", 1, 7, at + len(body), 0xDEAD0000, address, len(data), size, 1)
        body += data
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _, _ in symbols)
    table = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", names.index(name.encode() + b"\0"), binding << 4, 0, 1, value, 0)
        for name, value, binding in symbols
    )
    shnames = b"\0.symtab\0.strtab\0.shstrtab\0"
    start = at + len(body)
    sections = bytes(64)
    for name, kind, offset, size, link, entsize in (
        (1, 2, start, len(table), 2, 24),
        (9, 3, start + len(table), len(names), 0, 0),
        (17, 3, start + len(table) + len(names), len(shnames), 0, 0),
    ):
        sections += struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, link, 1, 1, entsize)
    tail = table + names + shnames
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, entry, 64, start + len(tail), 0, 64, 56, count, 64, 4, 3)
    return head + headers + body + tail + sections


def test_payload():
    """Physical addresses, zeros for memory that the file does not have, the entry, and global labels only."""
    content = elf(
        [(0x80000000, b"code", 4), (0x80001000, b"d", 3), (0x80002000, b"", 0)],
        [("_start", 0x80000000, 1), ("returned", 0x80000004, 1), ("local", 0x80000002, 0)],
        entry=0x80000000,
    )
    assert programs.read_payload("call", content) == programs.Payload(
        "call",
        ((0x80000000, b"code"), (0x80001000, b"d\0\0")),
        0x80000000,
        {"_start": 0x80000000, "returned": 0x80000004},
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "was not linked into an ELF program"),
        (b"#!/bin/sh\n", "was not linked into an ELF program"),
        (b"\x7fELF", "was not linked into an ELF program"),
        (elf([(0, b"x", 1)])[:70], "was not linked into an ELF program"),
        (elf([]), "has no segment to load"),
    ],
    ids=["empty", "script", "magic", "cut", "no_segments"],
)
def test_files_that_are_not_payloads(content, words):
    """BuildFailed names the payload."""
    with pytest.raises(BuildFailed, match=f"the payload x {words}"):
        programs.read_payload("x", content)
