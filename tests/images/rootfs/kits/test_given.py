"""Kits of programs that a user brings."""

import platform
import shutil
from pathlib import Path

import pytest
from elf_programs import elf_program

from sysevent.arches import architecture, of_machine
from sysevent.errors import NotApplicable, UsageError
from sysevent.images.rootfs.kits import given, kit, wanted

OWN = of_machine(platform.machine())
OTHER = architecture("arm64" if OWN.name != "arm64" else "x86_64")


@pytest.fixture
def here(tmp_path):
    """The root of a machine with a few libraries of its own, and those of a cross compiler."""
    root = tmp_path / "root"
    for folder, arch in ((f"usr/lib/{OWN.triplet}", OWN), (f"usr/{OTHER.triplet}/lib", OTHER)):
        (root / folder).mkdir(parents=True)
        (root / folder / "libc.so.6").write_bytes(elf_program(arch=arch.name))
        (root / folder / "ld.so.1").write_bytes(elf_program(arch=arch.name))
    return root


@pytest.fixture
def program(tmp_path):
    """program(content): the path of a program with this content, which can be run."""

    def program(content, name="vmm"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755)
        return path

    return program


@pytest.mark.parametrize("arch", [OWN, OTHER], ids=["own", "another"])
def test_a_static_program(settings, progress, program, arch):
    """In a folder of its own; without a version of its own, it has the start of its hash."""
    path = program(elf_program(arch=arch.name))
    made = given.kit("crosvm", path, arch, settings, progress)
    assert (made.program, made.libraries) == ("/opt/crosvm/bin/crosvm", 0)
    assert made.version.startswith("sha256 ")


def test_what_it_says_of_itself():
    """The first line of what it prints; nothing if it fails."""
    assert "GNU" in given.said_version(Path(shutil.which("ls")))
    assert given.said_version(Path(shutil.which("false"))) == ""


@pytest.mark.parametrize("arch", [OWN, OTHER], ids=["own", "another"])
def test_libraries_of_this_machine(here, program, arch):
    """Those of its own architecture, and those that a cross compiler has, at a place where guests look."""
    content = elf_program(["libc.so.6"], "/lib/ld.so.1", arch=arch.name)
    found = given.libraries("x", program(content), content, arch, here)
    assert len(found) == 3
    assert {"lib/ld.so.1", "opt/x/bin/x"} <= set(found)
    assert set(found) & {f"lib/{arch.triplet}/libc.so.6", f"usr/lib/{arch.triplet}/libc.so.6"}


def test_libraries_beside_the_program(here, program, tmp_path):
    """Where the program looks by itself."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libx.so").write_bytes(elf_program(arch=OTHER.name))
    content = elf_program(["libx.so"], runpath="$ORIGIN/../lib", arch=OTHER.name)
    found = given.libraries("x", program(content), content, OTHER, here)
    assert list(found) == ["opt/x/bin/x", "opt/x/lib/libx.so"]


def test_a_library_that_is_not_here(here, program):
    content = elf_program(["libgone.so.2"], arch=OWN.name)
    with pytest.raises(UsageError, match=r"--vmm x=.*needs libgone\.so\.2.*link it statically"):
        given.libraries("x", program(content), content, OWN, here)


def test_a_program_for_another_architecture(settings, progress, program):
    """A claim about this architecture is skipped: the program may be for the other targets."""
    path = program(elf_program(arch=OTHER.name))
    with pytest.raises(NotApplicable, match=f"is a program for {OTHER.name}: give one for {OWN.name}"):
        kit(f"crosvm={path}", OWN, settings, progress)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/bin/sh\n", "is not an ELF file"),
        (elf_program(arch="i386"), "is for another machine; expected a program for arm64, riscv64, x86_64"),
        (elf_program(kind=1), "not a program or library"),
        (elf_program()[:100], "damaged ELF file"),
    ],
)
def test_refused_before_anything_is_started(program, content, words):
    path = program(content)
    with pytest.raises(UsageError, match=rf"--vmm crosvm={path} {words}|{words}"):
        wanted([f"crosvm={path}"])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        wanted([f"crosvm={tmp_path}/no"])


def test_what_is_wanted(program, tmp_path):
    """Each once; a program for each architecture; the tree counts for the name."""
    first = program(elf_program(arch="arm64"), "one")
    second = program(elf_program(arch="riscv64"), "two")
    (tmp_path / "Makefile").touch()
    (tmp_path / "builtin-run.c").touch()
    words = ["qemu-10", f"crosvm={first}", f"crosvm={second}", "qemu-10", "kvmtool"]
    assert wanted(words, str(tmp_path)) == (
        "qemu-10",
        f"crosvm={first}",
        f"crosvm={second}",
        f"kvmtool={tmp_path}",
    )


def test_a_tree_of_another_project(tmp_path):
    with pytest.raises(UsageError, match="not a source tree of kvmtool"):
        wanted([], str(tmp_path))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "crosvm",
            "no suite of Debian has crosvm; build it with .* google/crosvm, and give it with --vmm crosvm=PATH",
        ),
        ("kvmtool", "clone will/kvmtool .* give it with --vmm kvmtool=DIR"),
    ],
)
def test_what_debian_does_not_have(settings, progress, name, words):
    with pytest.raises(NotApplicable, match=words):
        kit(name, OWN, settings, progress)


def test_an_unknown_name(settings, progress):
    with pytest.raises(UsageError, match="no VMM is called qmeu-10, did you mean qemu-10"):
        kit("qmeu-10", OWN, settings, progress)
