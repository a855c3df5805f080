"""The table of kinds of host is complete, code reads its columns, and docs/lab.md shows them."""

import ast
import re
from typing import get_args

import pytest

from sysevent.checkout import ROOT
from sysevent.targets.kinds import KINDS, KindName, kinds_with
from sysevent.targets.spec import TargetSpec

SRC = ROOT / "src" / "sysevent"
# The files that compare `where` with a name, and why they may.
BY_NAME = {
    "qemu/accel.py": "QEMU's accelerator",
    "hosts/qemu/shell.py": "likewise",
    "hosts/qemu/opener.py": "likewise",
    "cli/targets.py": "KVM for a guest in QEMU, and labgrid's places",
    "targets/rules.py": "labgrid's tags",
    "targets/leases/lease.py": "labgrid's leases",
}

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def test_each_name_has_a_row():
    assert tuple(KINDS) == get_args(KindName)


@each_kind
def test_keys_are_those_of_a_target(kind):
    assert {*kind.keys, *kind.needs} <= set(TargetSpec.__struct_fields__)
    assert all(kind.name in kinds_with(key) for key in kind.needs)
    assert bool(kind.needs) == bool(kind.needed)


@each_kind
def test_lock_is_made_of_keys_that_the_kind_has(kind):
    """Only labgrid keeps other runs away without a lock of ours."""
    assert ("{slot}" in kind.lock) == kind.booted
    assert "{address}" not in kind.lock or "address" in kind.keys
    assert kind.lock or kind.name == "labgrid"


@each_kind
def test_usable_is_said_of_all_but_qemu(kind):
    assert bool(kind.usable) != kind.booted


@each_kind
def test_one_shell_or_the_reason_why_not(kind):
    assert [kind.booted, kind.ssh, bool(kind.no_shell)].count(True) == 1


def comparisons(text):
    """The names of kinds that a module compares with `where`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            leaves = [leaf for side in (node.left, *node.comparators) for leaf in ast.walk(side)]
            named = {getattr(leaf, "attr", getattr(leaf, "id", "")) for leaf in leaves}
            values = {leaf.value for leaf in leaves if isinstance(leaf, ast.Constant)}
            if "where" in named or "where" in values:
                yield from values & KINDS.keys()


def test_code_asks_a_column():
    found = {str(path.relative_to(SRC)) for path in SRC.rglob("*.py") if list(comparisons(path.read_text()))}
    assert found == set(BY_NAME)


def test_guide_has_every_key_with_its_kinds():
    table = (ROOT / "docs" / "lab.md").read_text().partition("## All keys of a `[[target]]`")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))
    keys = [key for key in TargetSpec.__struct_fields__ if key != "label"]
    kinds = {key: kinds_with(key) for key in keys}
    assert rows == {
        key: "all" if names == tuple(KINDS) else ", ".join(f"`{name}`" for name in names)
        for key, names in kinds.items()
    }


def test_guide_has_every_kind():
    (row,) = re.findall(r"^\| `where` \|.*", (ROOT / "docs" / "lab.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`: ", row)) == KINDS.keys()
