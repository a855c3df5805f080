"""The points of a program that a compiler has instrumented, for each architecture."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import compiler
from sysevent.decode.instrumented import points
from sysevent.errors import ImageError, ToolMissing

PATH = "arch/any/kvm/psci.c"
SOURCE = """\
__attribute__((noinline, no_sanitize("coverage"))) void __sanitizer_cov_trace_pc(void) { __asm__ volatile(""); }
__attribute__((noinline)) int odd(int value)
{
	if (value & 1)
		__asm__ volatile("" : "+r"(value));
	return value;
}
#include "in_a_header.h"
void _start(void)
{
	odd(1);
	odd(in_a_header(odd(9)));
}
"""
HEADER = """\
__attribute__((always_inline)) static inline int in_a_header(int value)
{
	if (value)
		__asm__ volatile("" : : "r"(value));
	return value;
}
__attribute__((noinline, used)) static int another(int value)
{
	return value;
}
"""
TRACED = ("-g", "-fsanitize-coverage=trace-pc")


def compiled(arch, folder, flags, source=SOURCE):
    """An ELF program whose source is in a kernel tree."""
    abi = ARCHITECTURES[arch].abis[0]
    try:
        found = compiler.find(abi)
    except ToolMissing as missing:
        pytest.skip(str(missing))
    file = folder / "tree" / PATH
    file.parent.mkdir(parents=True)
    file.write_text(source)
    file.with_name("in_a_header.h").write_text(HEADER)
    compiler.build(found, abi, flags, [file], folder / "vmlinux")
    return folder / "vmlinux"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_block_is_a_point_of_its_line_and_function(arch, tmp_path):
    """Code that is inlined from a header belongs to the line of the call, and other functions of it to none."""
    found = points(compiled(arch, tmp_path, TRACED), (PATH,))
    assert {point.path for point in found.values()} == {PATH}
    assert {point.function for point in found.values()} == {"odd", "_start"}
    lines = {point.line for point in found.values() if point.function == "odd"}
    assert len(lines) >= 2
    assert lines <= {3, 4, 5, 6}
    assert {point.line for point in found.values() if point.function == "_start"} >= {12}


def test_other_files_have_no_points(tmp_path):
    assert points(compiled("x86_64", tmp_path, TRACED), ("arch/any/kvm/arm.c", "kvm/other/psci.c")) == {}


@pytest.mark.parametrize(
    ("flags", "source", "words"),
    [
        (("-g0", *TRACED[1:]), SOURCE, "no debug information"),
        (("-g",), "void _start(void) {}\n", "no KCOV"),
    ],
)
def test_a_kernel_without_them(flags, source, words, tmp_path):
    with pytest.raises(ImageError, match=words):
        points(compiled("x86_64", tmp_path, flags, source), (PATH,))


def test_damaged(tmp_path):
    path = tmp_path / "vmlinux"
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(200))
    with pytest.raises(ImageError, match="vmlinux"):
        points(path, (PATH,))
    with pytest.raises(ImageError, match="No such file"):
        points(tmp_path / "none", (PATH,))
