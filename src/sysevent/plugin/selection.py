"""Which test runs where: a test that asks for a target becomes one test for each that fits."""

from __future__ import annotations

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import UsageError
from sysevent.plugin.options import TARGETS
from sysevent.targets.spec import TargetSpec

_NOWHERE = "nowhere"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One instance for each target of the test's architecture and each ABI a VMM there can have."""
    if "target" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("arch")
    places = [
        (spec, abi)
        for spec in metafunc.config.stash[TARGETS]
        if marker is None or spec.arch in marker.args
        for abi in _abis(spec, metafunc.config.getoption("abi"))
    ]
    ids = [
        spec.id if abi == ARCHITECTURES[spec.arch].abis[0].name else f"{spec.id}-{abi}"
        for spec, abi in places
    ]
    metafunc.parametrize(
        ("target", "abi"),
        places or [(None, None)],
        ids=ids or [_NOWHERE],
        indirect=["target"],
        scope="session",
    )


def _abis(spec: TargetSpec, asked: list[str]) -> list[str]:
    """The ABIs to run a target's claims with; none when it has none of those that were asked for."""
    names = [abi.name for abi in ARCHITECTURES[spec.arch].abis]
    wanted = {names[0] if name == "native" else name for name in asked}
    return [name for name in names if not asked or name in wanted]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of architectures that were not selected are deselected, not skipped: nobody asked for them."""
    known = {abi.name for arch in ARCHITECTURES.values() for abi in arch.abis} | {"native"}
    for name in config.getoption("abi"):
        if name not in known:
            raise pytest.UsageError(str(UsageError(f"--abi {name}: there are {', '.join(sorted(known))}")))
    gone = [item for item in items if f"[{_NOWHERE}" in item.name or f"-{_NOWHERE}]" in item.name]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]
