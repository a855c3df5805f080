"""Kits that are compiled on this machine: kvm-ioctls with Debian's crates, and kvmtool from a tree."""

import platform
import shutil
import sys
import time

import pytest
from debian_mirror import build_deb
from elf_programs import elf_program

from sysevent.arches import ARCHITECTURES, architecture, of_machine
from sysevent.build import compiler
from sysevent.errors import BuildFailed, NotApplicable, UsageError
from sysevent.images.rootfs.kits import commands, crates, kvmtool
from sysevent.images.rootfs.kits.recipes import CRATES, LIBFDT, QEMU
from sysevent.option_table import VMMS
from sysevent.option_values import ORIGINS

OWN = of_machine(platform.machine())
needs_make = pytest.mark.skipif(
    shutil.which("make") is None, reason="make is not installed: apt-get install make"
)
OTHER = architecture("riscv64" if OWN.name != "riscv64" else "arm64")


def test_every_name_has_a_recipe():
    """And every recipe has a row in the help."""
    named = {recipe.name for recipe in (*QEMU, *CRATES)}
    assert named == {name for name, origin in VMMS.items() if origin.startswith("Debian")}
    assert ORIGINS.keys() == VMMS.keys() - named


# The two kinds of commands.


def test_a_command_that_fails(tmp_path):
    """With what it printed last, escaped."""
    words = ["sh", "-c", "echo one; printf 'two\\033[1m\\n' >&2; exit 3"]
    with pytest.raises(BuildFailed, match=r"kit: `sh -c .*` failed with 3:\n  one\n  two\\x1b\[1m"):
        commands.build(words, tmp_path, {"PATH": "/usr/bin:/bin"}, "kit", tmp_path / "made")


def test_a_command_that_hangs(tmp_path, monkeypatch):
    """What it has started is ended with it."""
    monkeypatch.setattr(commands, "_DEADLINE", 0.2)
    begin = time.monotonic()
    with pytest.raises(BuildFailed, match=r"did not end within 0\.2 s"):
        commands.build(
            ["sh", "-c", "sleep 60 & wait"], tmp_path, {"PATH": "/usr/bin:/bin"}, "kit", tmp_path / "made"
        )
    assert time.monotonic() - begin < 10


def test_a_command_that_makes_nothing(tmp_path):
    with pytest.raises(BuildFailed, match=r"has not made made \(No such file or directory\):\n  all is well"):
        commands.build(["echo", "all is well"], tmp_path, {"PATH": "/usr/bin:/bin"}, "kit", tmp_path / "made")


def test_a_command_that_is_not_installed(tmp_path):
    with pytest.raises(BuildFailed, match="no-such-program"):
        commands.build(["no-such-program"], tmp_path, {"PATH": "/usr/bin:/bin"}, "kit", tmp_path / "made")
    assert commands.output(["no-such-program"]) == ""
    assert commands.output(["false"]) == ""


# kvm-ioctls.


@pytest.fixture
def ask(tmp_path):
    """ask(words): what a machine with Rust for its own architecture, and gnu's C library, prints."""
    library = tmp_path / "lib"
    library.mkdir()
    (library / "libstd-1.rlib").touch()
    own = crates._CPUS[OWN.name] + "-unknown-linux-gnu"

    def ask(words):
        match words:
            case ["rustc", "-vV"]:
                return "rustc 1.85\nhost: x"
            case ["cargo", "-V"]:
                return "cargo 1.85"
            case ["rustc", "--print", "target-libdir", "--target", target]:
                return f"{library if target == own else tmp_path / 'absent'}\n"
        return ""

    return ask


def test_the_rust_of_this_machine(ask):
    rust = crates.find(OWN, ask)
    assert rust.target.endswith("-unknown-linux-gnu")
    assert (rust.identity, rust.linker) == ("rustc 1.85\nhost: x", "")


def test_without_a_library_for_the_architecture(ask):
    with pytest.raises(
        NotApplicable, match=r"has no standard library for .*: rustup target add .*apt install"
    ):
        crates.find(OTHER, ask)


def test_without_rust():
    with pytest.raises(NotApplicable, match="has no Rust: apt install cargo"):
        crates.find(OWN, lambda words: "")


def test_the_environment_of_cargo(ask, tmp_path, monkeypatch):
    """What the user has set for other builds does not count."""
    monkeypatch.setenv("RUSTFLAGS", "-C debuginfo=2")
    monkeypatch.setenv("CARGO_BUILD_TARGET", "other")
    found = crates.find(OWN, ask).environment(tmp_path, "0.19")
    assert "target-feature=+crt-static" in found["CARGO_ENCODED_RUSTFLAGS"].split("\x1f")
    assert not {"CARGO_BUILD_TARGET", "RUSTFLAGS"} & found.keys()


CARGO = """#!/bin/sh
set -e
cat "$CARGO_HOME/config.toml" >&2
[ -f ../usr/share/cargo/registry/kvm-ioctls-1/Cargo.toml ] && [ -f src/main.rs ]
mkdir -p "$CARGO_TARGET_DIR/$5/release"
cp PROGRAM "$CARGO_TARGET_DIR/$5/release/kvm-ioctls"
"""


@pytest.fixture
def built(mirror, archive, ask, tmp_path, monkeypatch):
    """built(program): the kit when cargo links this."""
    crate = build_deb({"usr/share/cargo/registry/kvm-ioctls-1/Cargo.toml": b"x"})
    depends = "Depends: make"
    arch = OWN.debian
    mirror.add("trixie", arch, [("librust-kvm-ioctls-dev", "0.19.1-1", crate, depends), ("make", "1", b"x")])

    def built(program):
        (tmp_path / "program").write_bytes(program)
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "cargo").write_text(CARGO.replace("PROGRAM", str(tmp_path / "program")))
        (folder / "cargo").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return crates.kit(CRATES[0], OWN, archive, ask)

    return built


def test_it_is_compiled_offline_with_debians_crates(built, mirror):
    """Only crates are fetched, and not the other packages that they depend on."""
    kit = built(elf_program(arch=OWN.name))
    assert (kit.name, kit.version, kit.program) == ("kvm-ioctls", "0.19.1-1", "/usr/bin/kvm-ioctls")
    assert kit.packages == ("librust-kvm-ioctls-dev 0.19.1-1",)
    assert mirror.request_count(f"make_1_{OWN.debian}.deb") == 0


def test_a_program_that_is_not_static(built):
    with pytest.raises(BuildFailed, match="not linked it statically"):
        built(elf_program(["libc.so.6"], "/lib/ld.so", arch=OWN.name))


# kvmtool.

MAKEFILE = """
lkvm-static:
	@test "$(WERROR)" = 0 && test "$(LIBFDT_DIR)" {test} "" && test ! -e old.o
	@cp program $@
"""


@pytest.fixture
def tree(tmp_path):
    """tree(arch): a tree whose make needs libfdt where kvmtool does, and a file of an earlier build."""

    def tree(arch):
        folder = tmp_path / "kvmtool"
        folder.mkdir(exist_ok=True)
        (folder / "builtin-run.c").write_text("int main;")
        test = "!=" if LIBFDT.packages[arch.name] else "="
        (folder / "Makefile").write_text(MAKEFILE.format(test=test))
        (folder / "old.o").touch()
        (folder / "program").write_bytes(elf_program(arch=arch.name))
        return folder

    return tree


def has_libc(words):
    """A machine whose compiler has a static C library."""
    return "/usr/lib/libc.a\n" if "-print-file-name=libc.a" in words else "gcc 14\n"


@needs_make
@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=lambda arch: arch.name)
def test_kvmtool(tree, mirror, archive, monkeypatch, arch):
    """Built in a copy; another source is another kit, and what make leaves is no source."""
    monkeypatch.setenv(f"CC_{arch.abis[0].name}", "cc")
    library = build_deb({f"usr/lib/{arch.triplet}/libfdt.a": b"", "usr/include/libfdt.h": b""})
    mirror.add("trixie", arch.debian, [("libfdt-dev", "1.7", library)])
    folder = tree(arch)
    kit = kvmtool.kit(folder, arch, archive, has_libc)
    assert (kit.name, kit.program) == ("kvmtool", "/usr/bin/lkvm")
    assert kit.version.startswith("sha256 ")
    assert not (folder / "lkvm-static").exists()
    (folder / "new.o").touch()
    assert kvmtool.kit(folder, arch, archive, has_libc) == kit
    (folder / "builtin-run.c").write_text("int other;")
    assert kvmtool.kit(folder, arch, archive, has_libc).archive != kit.archive


def test_the_compiler_of_kvmtool(monkeypatch):
    """A gcc without a static C library does not count; zig has one."""
    monkeypatch.delenv(f"CC_{OTHER.abis[0].name}", raising=False)
    tools = kvmtool.find(OTHER, lambda words: "libc.a\n" if "-print-file-name=libc.a" in words else "1\n")
    assert compiler.zig()
    assert tools.command.startswith(
        f"{sys.executable} -m ziglang cc -target {OTHER.uname_machine}-linux-musl"
    )
    assert "libgen.h" in tools.flags


@needs_make
def test_a_tree_that_does_not_build(tree, archive, monkeypatch):
    arch = architecture("x86_64")
    monkeypatch.setenv("CC_x86_64", "cc")
    folder = tree(arch)
    (folder / "Makefile").write_text("lkvm-static:\n\t@echo broken; false\n")
    with pytest.raises(BuildFailed, match=r"kvmtool for x86_64: `make .*\n  broken"):
        kvmtool.kit(folder, arch, archive, has_libc)


def test_another_tree(tmp_path, archive):
    with pytest.raises(UsageError, match="not a source tree of kvmtool"):
        kvmtool.kit(tmp_path, OWN, archive)


def test_a_tree_that_is_too_large(tree, monkeypatch):
    monkeypatch.setattr(kvmtool, "_FILES_MAX", 2)
    with pytest.raises(UsageError, match="more than 2 files"):
        kvmtool.content_hash(tree(OWN))
