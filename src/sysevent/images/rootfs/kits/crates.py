"""Kits of a VMM of this project on rust-vmm's crates: Debian's crates, compiled with this machine's Rust, offline."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sysevent.arches import Architecture, ArchName
from sysevent.checkout import GUESTS
from sysevent.errors import BuildFailed, NotApplicable
from sysevent.images.debian import deb
from sysevent.images.debian.archive import Archive
from sysevent.images.rootfs.kits import commands, linked, packages
from sysevent.images.rootfs.kits.archive import Contents, Kit
from sysevent.images.rootfs.kits.given import is_own
from sysevent.images.rootfs.kits.packages import Chosen
from sysevent.images.rootfs.kits.recipes import Recipe

SOURCE = GUESTS / "vmms" / "kvm-ioctls"
_FILES = ("Cargo.toml", "src/main.rs", "src/exits.rs", "src/machine.rs")
# Rust's names, before "-unknown-linux-".
_CPUS: dict[ArchName, str] = {"arm64": "aarch64", "riscv64": "riscv64gc", "x86_64": "x86_64"}
# C libraries that programs can be linked to statically, the one that needs nothing else first.
_LIBRARIES = ("musl", "gnu")
# Path in guests, of whichever release of the crate.
_PROGRAM = "usr/bin/kvm-ioctls"
# How it is compiled. A panic prints where in the source it is: without the path of a temporary folder.
_COMMAND = ("cargo", "build", "--release", "--offline", "--target")
_FLAGS = ("-C", "target-feature=+crt-static", "--remap-path-prefix={registry}/=")
# Where Debian's packages have the source of a crate.
_REGISTRY = "usr/share/cargo/registry"
_CONFIG = """[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "{folder}"
"""

Ask = Callable[[Sequence[str]], str]
"""Returns what a command prints; "" if it cannot be run or fails."""


class Rust(msgspec.Struct, frozen=True):
    """What compiles for one architecture."""

    # As in "x86_64-unknown-linux-musl".
    target: str
    # What `rustc -vV` prints: part of a kit's key.
    identity: str
    # The linker; "" for the default one.
    linker: str

    def environment(self, folder: Path, version: str) -> dict[str, str]:
        """Return the environment for cargo, which is configured in folder/home and builds in folder/built."""
        # Variables that a user has set for other builds, or that name another toolchain, are left out.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CARGO", "RUSTFLAGS", "RUSTC"))
        }
        name = f"CARGO_TARGET_{self.target.upper().replace('-', '_')}_LINKER"
        return (
            kept
            | ({name: self.linker} if self.linker else {})
            | {
                "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(_FLAGS).format(registry=folder / _REGISTRY),
                "CARGO_HOME": str(folder / "home"),
                "CARGO_TARGET_DIR": str(folder / "built"),
                "KVM_IOCTLS_VERSION": version,
                "LC_ALL": "C",
            }
        )


def kit(recipe: Recipe, arch: Architecture, archive: Archive, ask: Ask = commands.output) -> Kit:
    """Return the kit of a recipe. Raises NotApplicable, which says what to install, without a Rust for arch.

    BuildFailed when cargo fails, and what packages.kit() raises.
    """
    rust = find(arch, ask)
    hashes = [hashlib.sha256((SOURCE / name).read_bytes()).hexdigest() for name in _FILES]
    return packages.kit(
        recipe,
        arch,
        archive,
        functools.partial(_contents, rust),
        (*_COMMAND, *_FLAGS, _PROGRAM, rust.target, rust.identity, rust.linker, *hashes),
    )


def find(arch: Architecture, ask: Ask = commands.output) -> Rust:
    """Return this machine's Rust for an architecture; NotApplicable, with what to install, if it has none."""
    identity = ask(["rustc", "-vV"])
    if not identity or not ask(["cargo", "-V"]):
        raise NotApplicable(
            f"kvm-ioctls for {arch.name} is compiled on this machine, which has no Rust: apt install cargo"
        )
    targets = [f"{_CPUS[arch.name]}-unknown-linux-{library}" for library in _LIBRARIES]
    for target in targets:
        folder = ask(["rustc", "--print", "target-libdir", "--target", target]).strip()
        if folder and any(Path(folder).glob("libstd-*.rlib")):
            linker = "" if is_own(arch) else f"{arch.abis[0].gnu_prefix}gcc"
            if linker and not shutil.which(linker):
                raise NotApplicable(
                    f"kvm-ioctls for {arch.name} is linked with {linker}, which is not installed"
                )
            return Rust(target, identity, linker)
    raise NotApplicable(
        f"kvm-ioctls for {arch.name}: this machine's Rust has no standard library for {' or '.join(targets)}: "
        f"rustup target add {targets[0]}, or apt install libstd-rust-dev:{arch.debian}"
    )


def _contents(rust: Rust, recipe: Recipe, arch: Architecture, chosen: Chosen, archive: Archive) -> Contents:
    crates = [entry.package for entry in chosen.closure.entries if entry.package.name.startswith("librust-")]
    version = chosen.closure.entries[0].package.version
    label = f"{recipe.name} for {arch.name}"
    with tempfile.TemporaryDirectory(dir=archive.cache.scratch(), prefix="kit-") as name:
        folder = Path(name)
        for crate in crates:
            blob = archive.deb(crate, f"Debian {chosen.suite} {arch.debian}")
            deb.extract(blob, folder, re.compile(rf"(?:\./)?{_REGISTRY}/.*"))
        # A copy: cargo writes a lock file beside it.
        shutil.copytree(SOURCE, folder / "source")
        (folder / "home").mkdir()
        (folder / "home" / "config.toml").write_text(
            _CONFIG.format(folder=folder / _REGISTRY), encoding="utf-8"
        )
        archive.progress(f"{label}: compiling with {rust.identity.splitlines()[0]}")
        words = [*_COMMAND, rust.target]
        environment = rust.environment(folder, version)
        path = folder / "built" / rust.target / "release" / "kvm-ioctls"
        program = commands.build(words, folder / "source", environment, label, path)
    if linked.read(program, arch, label).interpreter:
        raise BuildFailed(
            f"{label}: cargo has not linked it statically: a static C library may be missing (apt install libc6-dev)"
        )
    used = tuple(f"{crate.name} {crate.version}" for crate in sorted(crates, key=lambda crate: crate.name))
    return Contents(version, f"/{_PROGRAM}", {_PROGRAM: program}, packages=used, origin=chosen.suite)
