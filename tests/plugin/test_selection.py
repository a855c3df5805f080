"""Tests that check no claim, and ask for a target."""

from types import SimpleNamespace

import pytest

from sysevent.plugin import selection
from sysevent.plugin.options import TARGETS
from sysevent.targets.spec import TargetSpec

SPECS = [TargetSpec(name=name, arch=arch, where="tcg") for name, arch in (("a", "arm64"), ("x", "x86_64"))]


@pytest.mark.parametrize(
    ("asks", "abi", "ids"),
    [
        (["target"], [], ["a", "x"]),
        (["target", "abi"], [], ["a", "x", "x-i386"]),
        (["target", "abi"], ["i386"], ["x-i386"]),
        (["target"], ["i386"], ["x"]),
        # It is left out: no target has a VMM of that ABI.
        (["target"], ["riscv64"], ["nowhere"]),
        (["target", "abi"], ["riscv64"], ["nowhere"]),
        (["tmp_path"], [], None),
    ],
)
def test_places(asks, abi, ids):
    """Once for each target, and for each ABI there only if the test asks for it."""
    found = {}
    stash = pytest.Stash()
    stash[TARGETS] = SPECS

    def parametrize(names, values, **options):
        count = 1 if isinstance(names, str) else len(names)
        assert all(count == 1 or len(value) == count for value in values)
        assert len(values) == len(options["ids"])
        found.update(options)

    selection.pytest_generate_tests(
        SimpleNamespace(
            function=lambda: None,
            fixturenames=asks,
            parametrize=parametrize,
            config=SimpleNamespace(stash=stash, getoption=lambda _: abi),
        )
    )
    assert found.get("ids") == ids
