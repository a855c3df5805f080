"""Which test runs where: a test of claims becomes one test for each claim on each target that fits."""

from __future__ import annotations

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.contract import table
from sysevent.errors import UsageError
from sysevent.plugin.options import TARGETS
from sysevent.targets.spec import TargetSpec

_NOWHERE = "nowhere"
_ARGUMENTS = ("target", "abi", "claim")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One instance for each claim, target of the claim's architecture, and ABI that a VMM there can have."""
    marker = metafunc.definition.get_closest_marker("claims")
    if marker is None:
        _on_each_target(metafunc)
        return
    claims = table.select(marker.args)
    places = [
        (spec, abi, claim)
        for spec in metafunc.config.stash[TARGETS]
        for abi in _abis(spec, metafunc.config.getoption("abi"))
        for claim in claims
        # A claim that needs a VMM of its own is no matter of which other one is asked for.
        if claim.arch == spec.arch and not (claim.abi and abi != ARCHITECTURES[spec.arch].abis[0].name)
    ]
    ids = [f"{_place_id(spec, abi)}-{claim.name.partition('.')[2]}" for spec, abi, claim in places]
    metafunc.parametrize(
        _ARGUMENTS,
        [(spec, abi, claim.name) for spec, abi, claim in places] or [(None, None, None)],
        ids=ids or [_NOWHERE],
        indirect=["target"],
        scope="session",
    )


def _on_each_target(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a target and makes no claim of the contract: once for each, and each ABI there."""
    if "target" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("abi")
    places = [(spec, abi) for spec in metafunc.config.stash[TARGETS] for abi in _abis(spec, asked)]
    metafunc.parametrize(
        ("target", "abi"),
        places or [(None, None)],
        ids=[_place_id(spec, abi) for spec, abi in places] or [_NOWHERE],
        indirect=["target"],
        scope="session",
    )


def _place_id(spec: TargetSpec, abi: str) -> str:
    return spec.id if abi == ARCHITECTURES[spec.arch].abis[0].name else f"{spec.id}-{abi}"


def _abis(spec: TargetSpec, asked: list[str]) -> list[str]:
    """The ABIs to run a target's claims with; none when it has none of those that were asked for."""
    names = [abi.name for abi in ARCHITECTURES[spec.arch].abis if abi.kvm]
    wanted = {names[0] if name == "native" else name for name in asked}
    return [name for name in names if not asked or name in wanted]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Target by target, so that each guest is booted once; what fits no target is left out, not skipped."""
    known = {abi.name for arch in ARCHITECTURES.values() for abi in arch.abis if abi.kvm} | {"native"}
    for name in config.getoption("abi"):
        if name not in known:
            raise pytest.UsageError(str(UsageError(f"--abi {name}: there are {', '.join(sorted(known))}")))
    targets = config.stash[TARGETS]
    order = {spec.id: index for index, spec in enumerate(targets)}

    def place(item: pytest.Item) -> int:
        target = _target(item)
        return order[target.id] if target else -1

    nowhere = [item for item in items if item.name.endswith(f"[{_NOWHERE}]")]
    if nowhere:
        config.hook.pytest_deselected(items=nowhere)
    items[:] = sorted((item for item in items if item not in nowhere), key=place)


def _target(item: pytest.Item) -> TargetSpec | None:
    target = getattr(getattr(item, "callspec", None), "params", {}).get("target")
    return target if isinstance(target, TargetSpec) else None
