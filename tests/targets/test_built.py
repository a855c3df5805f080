"""How kernels that were built reach the targets of pytest."""

from pathlib import Path

import pytest

from sysevent.errors import UsageError
from sysevent.targets import built, spec


def test_each_guest_boots_the_kernel_of_its_architecture():
    """As kernels with our own configuration need it; architectures that were not built are not asked."""
    environment = {}
    built.hand_over({"arm64": Path("/b/a 'rm"), "x86_64": Path("/b/x86")}, environment)
    names = ("arm64-tcg", "arm64-nvhe", "riscv64-tcg", "x86_64-tcg")
    rows = [row for row in spec.builtin() if row.name in names]
    found = built.on_targets(rows, environment)
    assert [(row.name, row.kernel) for row in found] == [
        ("arm64-tcg", "tree:/b/a 'rm"),
        ("x86_64-tcg", "tree:/b/x86"),
        ("arm64-nvhe", "tree:/b/a 'rm"),
    ]
    assert {row.channel for row in found} == {"serial"}
    assert found[2].append == "kvm-arm.mode=nvhe earlycon"


def test_pytest_alone_builds_nothing():
    """Nor does it ask a kernel that was built before the tree was edited."""
    with pytest.raises(UsageError, match="--build is an option of `sysevent run`"):
        built.on_targets(spec.builtin(), {})
