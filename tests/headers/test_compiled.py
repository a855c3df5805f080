"""Headers compiled by the real compiler, without any of the compiler's headers."""

import importlib.util

import msgspec
import pytest

from sysevent import settings
from sysevent.arches import ABIS, native
from sysevent.build import compiler
from sysevent.decode.structs import find
from sysevent.errors import BuildFailed
from sysevent.headers import compiled
from sysevent.headers.compiled import Tool
from sysevent.headers.resolve import Headers

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("ziglang"), reason="the ziglang wheel is not installed"
)

KVM_H = """
#ifndef KVM_H
#define KVM_H
#define KVM_EXIT_EXAMPLE 7
#define KVM_SUM (KVM_EXIT_EXAMPLE + (1ULL << 40))
#define KVM_TEXT "not a number"
#define KVM_TYPE struct kvm_run
#define KVM_UNDEFINED (KVM_NOT_DEFINED + 1)
#define KVM_CALL(x) (x)
#define KVM_SIZE sizeof(struct kvm_run)
#define KVM_MINUS (-1)
#define OTHER 3
enum kvm_kind { KVM_KIND_A = 5 };
struct kvm_unused { unsigned char a; unsigned long b; };
struct kvm_run {
	unsigned int exit_reason;
	union {
		struct { unsigned int type; unsigned long long flags; } system_event;
		char padding[256];
	};
	unsigned int low : 3, high : 9;
};
#endif
"""
ASM_H = "struct kvm_asm { void *pointer; };\n"


@pytest.fixture
def include(tmp_path):
    """An include directory with two small headers."""
    for name, text in (("linux/kvm.h", KVM_H), ("asm/kvm.h", ASM_H)):
        path = tmp_path / "include" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path / "include"


@pytest.fixture
def tool(tmp_path):
    """tool(abi): the compiler."""
    with compiler.empty_zig_cache(tmp_path) as variables:
        yield lambda abi: Tool(compiler.find(ABIS[abi]).command, variables)


@pytest.mark.parametrize(
    ("abi", "word", "flags_at"),
    [
        ("x86_64", 8, 12),
        ("i386", 4, 8),
        ("x32", 4, 12),
        ("arm64", 8, 12),
        ("arm", 4, 12),
        ("riscv64", 8, 12),
        ("riscv32", 4, 12),
    ],
)
def test_layout_of_every_abi(include, tool, abi, word, flags_at):
    """Only i386 aligns 64-bit members to 4: there the union is at 4, and otherwise at 8."""
    found = compiled.compile_headers((include,), ABIS[abi], tool(abi))
    run = found.structs["kvm_run"]
    union = 4 if abi == "i386" else 8
    assert find(run, "padding").offset == union
    assert find(run, "system_event.flags").offset == flags_at + 4 * (abi != "i386")
    assert found.structs["kvm_asm"].size == word
    # Structures that no declaration uses are in the DWARF, too.
    assert found.structs["kvm_unused"].size == 2 * word
    assert find(run, "high").bits == (3, 9)
    assert found.asserted["system_event.flags"] == find(run, "system_event.flags").offset
    assert found.asserted["sizeof"] == run.size
    assert found.constants == {
        "KVM_EXIT_EXAMPLE": 7,
        "KVM_KIND_A": 5,
        "KVM_MINUS": 2**64 - 1,
        "KVM_SIZE": run.size,
        "KVM_SUM": (1 << 40) + 7,
    }


# What linux/types.h has since v7.3, and a structure of 128-bit members by both names.
WIDE_H = """
#ifdef __SIZEOF_INT128__
typedef __signed__ __int128 __s128 __attribute__((aligned(16)));
typedef unsigned __int128 __u128 __attribute__((aligned(16)));
#endif
struct kvm_asm { char first; __u128 named; __uint128_t built_in; };
"""


@pytest.mark.parametrize("abi", list(ABIS))
def test_128_bit_members_are_the_same_in_every_abi(include, tool, abi):
    """32-bit compilers have no such type; what reads the layout needs its size and alignment alone."""
    (include / "asm" / "kvm.h").write_text(WIDE_H)
    found = compiled.compile_headers((include,), ABIS[abi], tool(abi))
    members = found.structs["kvm_asm"]
    assert [find(members, name).offset for name in ("first", "named", "built_in")] == [0, 16, 32]
    assert members.size == 48


def test_a_header_that_is_missing_is_not_taken_from_the_compiler(include, tool):
    """zig has its own linux/types.h and asm/ptrace.h for every architecture."""
    (include / "asm" / "kvm.h").write_text("#include <linux/types.h>\n" + ASM_H)
    with pytest.raises(BuildFailed, match=r"linux/types\.h"):
        compiled.compile_headers((include,), ABIS["x86_64"], tool("x86_64"))


def test_a_header_from_elsewhere_is_an_error(include, tool, tmp_path):
    (tmp_path / "stray.h").write_text("struct kvm_stray { int a; };\n")
    (include / "asm" / "kvm.h").write_text(f'#include "{tmp_path / "stray.h"}"\n' + ASM_H)
    with pytest.raises(BuildFailed, match="not one of the headers under test"):
        compiled.compile_headers((include,), ABIS["x86_64"], tool("x86_64"))


def test_headers_that_do_not_compile(include, tool):
    (include / "asm" / "kvm.h").write_text("struct kvm_asm { unknown_type member; };\n")
    with pytest.raises(BuildFailed, match="unknown_type"):
        compiled.compile_headers((include,), ABIS["i386"], tool("i386"))


def test_headers_are_compiled_once(include, tmp_path, monkeypatch):
    """The second time no compiler is run."""
    with_empty_cache = msgspec.structs.replace(settings.from_environment(), cache=tmp_path / "cache")
    headers = Headers("tree:x", "x86_64", "", "some-hash", None, include.parent)
    wanted = [ABIS["x86_64"], ABIS["i386"]]
    lines = []
    first = compiled.layouts(headers, wanted, with_empty_cache, lines.append)
    assert list(first) == ["x86_64", "i386"]
    assert lines == ["compiling the headers of tree:x for x86_64, i386"]
    monkeypatch.setattr(Tool, "run", None)
    assert compiled.layouts(headers, wanted, with_empty_cache, lines.append) == first
    assert len(lines) == 1
    other = msgspec.structs.replace(headers, key="another-hash")
    with pytest.raises(TypeError):
        compiled.layouts(other, wanted, with_empty_cache, lines.append)


def test_native_is_the_kernels_own_abi():
    assert [native(arch).name for arch in ("x86_64", "arm64", "riscv64")] == ["x86_64", "arm64", "riscv64"]
