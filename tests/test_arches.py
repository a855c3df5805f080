"""Every table that is keyed by architecture has all of them, and every file that an architecture takes exists."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Mapping
from functools import cache
from typing import get_args

import pytest

import sysevent
from sysevent.arches import (
    ABIS,
    ARCHITECTURES,
    NATIVE,
    ArchName,
    abi,
    architecture,
    canonical,
    native,
    of_machine,
    others,
    resolve_abi,
)
from sysevent.checkout import GUESTS, IMAGES, ROOT
from sysevent.doctor.package_managers import MANAGERS
from sysevent.errors import ToolMissing, UsageError
from sysevent.images import tracks
from sysevent.targets import spec

SRC = ROOT / "src" / "sysevent"
# Columns in which "" is an answer.
MAY_BE_EMPTY = {"counter_word", "not_nested", "quick_firmware"}
# What an architecture is called, here and elsewhere.
NAMES = {
    name
    for arch in ARCHITECTURES.values()
    for name in (arch.name, arch.kernel, arch.uname_machine, arch.debian, arch.elf_machine, arch.triplet)
}
# Where code asks for an architecture by its name, and why it may.
BY_NAME = {
    "arches/": "the rows",
    "contract/": "claims are about one architecture",
    "scenario/catalog/": "likewise",
    "bench/peers.py": "what virtme-ng and tuxrun do by default",
    "doctor/package_managers.py": "a distribution's packages can differ with the machine that they are for",
}


@cache
def tables():
    """Every mapping of a module of ours that has the name of an architecture among its keys."""
    found = {}
    for module in pkgutil.walk_packages(sysevent.__path__, "sysevent."):
        if module.name.endswith("__main__"):
            continue
        try:
            imported = importlib.import_module(module.name)
        except ToolMissing:
            # It needs an extra that is not installed here.
            continue
        for name, value in vars(imported).items():
            if isinstance(value, Mapping) and not ARCHITECTURES.keys().isdisjoint(value):
                found.setdefault(id(value), (f"{module.name}.{name}", value))
    return dict(found.values())


def by_abi(table):
    """A table of userspace ABIs: some of these have the name of their architecture."""
    return not (ABIS.keys() - ARCHITECTURES.keys()).isdisjoint(table)


def test_every_table_is_complete():
    by_arch = {name: table for name, table in tables().items() if not by_abi(table)}
    assert {"sysevent.abi.registers.REGISTERS", "sysevent.images.kernel.bootfile._IMAGES"} <= by_arch.keys()
    assert {name: sorted(table) for name, table in by_arch.items()} == dict.fromkeys(
        by_arch, sorted(ARCHITECTURES)
    )


def special_cases(text):
    """The lines of a module that ask which architecture it is, instead of asking a column."""
    tree = ast.parse(text)
    kept = {id(node.value) for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            values = [node.left, *node.comparators]
            names = {
                leaf.value for value in values for leaf in ast.walk(value) if isinstance(leaf, ast.Constant)
            }
        elif isinstance(node, ast.MatchValue):
            names = {node.value.value} if isinstance(node.value, ast.Constant) else set()
        elif isinstance(node, ast.Dict):
            names = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            # The table of a module is held to be complete above, when its keys are our names.
            if id(node) in kept and names & ARCHITECTURES.keys():
                continue
        else:
            continue
        if not names.isdisjoint(NAMES):
            yield node.lineno


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_code_asks_a_column(path):
    if not str(path.relative_to(SRC)).startswith(tuple(BY_NAME)):
        assert not list(special_cases(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        "if arch.name == 'x86_64': pass",
        "arch in ('arm64', 'riscv64')",
        "match arch:\n  case 'arm64': pass",
        "_GOALS = {'x86': 'bzImage'}",
        "def f(arch): return {'arm64': 1, 'riscv64': 2}[arch]",
    ],
)
def test_a_special_case_is_seen(text):
    assert list(special_cases(text))


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=lambda arch: arch.name)
class TestArchitecture:
    def test_every_column_is_filled_in(self, arch):
        for column in arch._fields:
            if isinstance(value := getattr(arch, column), str):
                assert value or column in MAY_BE_EMPTY, column

    def test_its_abis(self, arch):
        """The kernel's own first; each is of this architecture, and has a VMM."""
        assert arch.abis[0].name == arch.name
        assert arch.abis[0] is native(arch.name)
        assert all(one.arch == arch.name and one.number for one in (*arch.abis, arch.payload_abi))
        assert [native(arch.name), *others(arch.name)] == [
            one for one in ABIS.values() if one.arch == arch.name
        ]

    def test_its_files(self, arch):
        payloads = GUESTS / "payloads" / arch.name
        assert (GUESTS / "vmm" / "arch" / arch.vmm_source).is_file()
        assert (payloads / "payload.ld").is_file()
        assert list(payloads.glob("*.S"))
        assert (IMAGES / "kconfig" / f"{arch.name}.config").is_file()

    def test_its_target(self, arch):
        assert [row.arch for row in spec.builtin() if row.name == f"{arch.name}-tcg"] == [arch.name]

    def test_its_kernels(self, arch):
        """Debian may have had none in older suites."""
        assert arch.name in tracks.track("newest", tracks.load()).packages
        assert arch.boot_image.startswith(f"arch/{arch.kernel}/boot/")
        assert arch.boot_image.endswith(f"/{arch.make_goal}")

    def test_its_system_packages(self, arch):
        for manager in MANAGERS:
            assert {arch.qemu_package, f"gcc-{arch.name}"} <= manager.packages.keys(), manager.name

    @pytest.mark.parametrize("file", ["tox.ini", "docs/ci/github-actions.yml", "docs/ci/gitlab-ci.yml"])
    def test_its_job(self, arch, file):
        """In every list of jobs that a CI system runs."""
        assert re.search(rf"\b{arch.name}\b", (ROOT / file).read_text())

    def test_its_machines(self, arch):
        assert {of_machine(name) for name in (arch.uname_machine, *arch.other_machines)} == {arch}


@pytest.mark.parametrize("one", [one for one in ABIS.values() if one.number], ids=lambda one: one.name)
def test_the_vmm_of_an_abi(one):
    """It says the number of its ABI in every frame."""
    folder = GUESTS / "vmm"
    text = (folder / "sys" / f"{one.name}.h").read_text()
    assert f'#include "sys/{one.name}.h"' in (folder / "sys.h").read_text()
    assert re.search(r"^#define ABI_NUMBER (\d+)$", text, re.MULTILINE)[1] == str(one.number)
    assert re.search(r'^#define ABI_NAME "(\w+)"$', text, re.MULTILINE)[1] == one.name


def test_abis():
    """Numbers on the wire that differ, and architectures that exist; i386 is what it was in 2022."""
    numbers = [one.number for one in ABIS.values() if one.number]
    assert len(numbers) == len(set(numbers))
    assert {one.arch for one in ABIS.values()} == ARCHITECTURES.keys()
    assert [one.name for one in ABIS.values() if one.u64_alignment != 8] == ["i386"]
    assert {"arm", "riscv32"} <= {one.name for one in ABIS.values() if not one.can_use_kvm}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_own_abi_of_an_architecture(arch):
    """It has the architecture's name, which NATIVE stands for; other names stay as they are."""
    assert resolve_abi(arch, NATIVE) == native(arch).name == arch
    assert resolve_abi(arch, "i386") == "i386"


def test_names():
    """One list for the type checker, and for what a target file may say."""
    assert set(get_args(ArchName)) == ARCHITECTURES.keys()
    assert of_machine("ppc64le") is None
    known = ", ".join(sorted(ARCHITECTURES))
    with pytest.raises(UsageError, match=f"no architecture is called 'vax'; expected one of {known}"):
        architecture("vax")
    assert abi("x32").arch == "x86_64"
    with pytest.raises(UsageError, match=f"--abi x33: expected one of {', '.join(ABIS)}"):
        abi("x33")


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("aarch64", "arm64"),
        ("ARM64", "arm64"),
        ("amd64", "x86_64"),
        ("x86-64", "x86_64"),
        ("x64", "x86_64"),
        ("riscv64", "riscv64"),
        ("s390x", "s390x"),
    ],
)
def test_other_names_of_architectures(other, name):
    """What is no name of ours stays as it was typed, for the error message."""
    assert canonical(other) == name
