"""Which libraries an ELF program needs, and where they stand in a guest."""

import pytest
from elf_programs import elf_program

from sysevent.arches import ARCHITECTURES, architecture
from sysevent.errors import ImageError, WrongArchitecture
from sysevent.images.rootfs.kits import linked

ARM64 = architecture("arm64")
LOADER = "/lib/ld-linux-aarch64.so.1"
FOLDER = "lib/aarch64-linux-gnu"


class Supply:
    """Libraries by their paths in the guest; remembers what was expected."""

    where = "the supply"

    def __init__(self, files):
        self.files = files
        self.expected = []

    def expect(self, names):
        self.expected.append(list(names))

    def find(self, name, folders):
        paths = [f"{folder}/{name}" for folder in folders]
        return next(((path, self.files[path]) for path in paths if path in self.files), None)


def needs(program, files, path="usr/bin/program", arch=ARM64):
    return linked.with_libraries(path, program, arch, Supply(files))


def test_a_static_program_is_alone():
    program = elf_program()
    assert needs(program, {}) == {"usr/bin/program": program}


def test_all_that_libraries_need():
    """Directly and indirectly, in a circle as well, each once; the interpreter is where the program names it."""
    files = {
        f"{FOLDER}/liba.so.1": elf_program(["libb.so.2", "libc.so.6"]),
        f"{FOLDER}/libb.so.2": elf_program(["liba.so.1"]),
        f"{FOLDER}/libc.so.6": elf_program(["ld-linux-aarch64.so.1"]),
        f"{FOLDER}/ld-linux-aarch64.so.1": elf_program(),
        f"{FOLDER}/unused.so": elf_program(),
    }
    found = needs(elf_program(["liba.so.1", "libc.so.6"], LOADER), files)
    expected = {"usr/bin/program", LOADER[1:], *list(files)[:3]}
    assert set(found) == expected
    assert found[LOADER[1:]] == files[f"{FOLDER}/ld-linux-aarch64.so.1"]


def test_folders_that_a_file_names():
    """They come before the usual ones, and count for that file; DT_RPATH only without DT_RUNPATH."""
    files = {
        "usr/lib/private/libp.so": elf_program(["libq.so"], rpath="$ORIGIN/more"),
        "usr/lib/private/more/libq.so": elf_program(),
        f"{FOLDER}/libp.so": b"another",
    }
    found = needs(elf_program(["libp.so"], runpath="/usr/lib/private", rpath="/nowhere"), files)
    assert list(found) == ["usr/bin/program", "usr/lib/private/libp.so", "usr/lib/private/more/libq.so"]


def test_origin_is_the_folder_of_the_file():
    files = {"opt/x/lib/libz.so": elf_program()}
    assert "opt/x/lib/libz.so" in needs(
        elf_program(["libz.so"], runpath="${ORIGIN}/../lib"), files, "opt/x/bin/x"
    )


def test_a_library_that_is_missing():
    """The message names it, and the file that needs it."""
    files = {f"{FOLDER}/liba.so.1": elf_program(["libgone.so.3"])}
    with pytest.raises(ImageError, match=r"/lib/.*/liba\.so\.1 needs libgone\.so\.3, .* the supply"):
        needs(elf_program(["liba.so.1"]), files)


def test_a_library_by_its_path():
    with pytest.raises(ImageError, match="by its path"):
        needs(elf_program(["/usr/lib/libx.so"]), {})


def test_a_library_of_another_machine():
    files = {f"{FOLDER}/liba.so.1": elf_program(arch="x86_64")}
    with pytest.raises(WrongArchitecture, match=r"liba\.so\.1 is for EM_X86_64"):
        needs(elf_program(["liba.so.1"]), files)


def test_the_names_are_announced_together():
    supply = Supply({f"{FOLDER}/{name}": elf_program() for name in ("a.so", "b.so")})
    linked.with_libraries("p", elf_program(["a.so", "b.so"]), ARM64, supply)
    assert supply.expected[0] == ["a.so", "b.so"]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_architecture(arch):
    found = linked.read(elf_program(["libc.so.6"], "/lib/ld.so", arch=arch), architecture(arch), "x")
    assert (found.interpreter, found.needed) == ("/lib/ld.so", ("libc.so.6",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/bin/sh\n", "x is not an ELF file"),
        (b"", "x is not an ELF file"),
        (elf_program()[:80], "x is a damaged ELF file"),
        (elf_program(kind=1), "not a program or library"),
        (elf_program(arch="i386"), "x is for EM_386; expected a program for arm64"),
    ],
)
def test_files_that_cannot_be_used(content, words):
    with pytest.raises(ImageError, match=words):
        linked.read(content, ARM64, "x")
