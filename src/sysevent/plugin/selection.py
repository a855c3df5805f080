"""Which test runs where: a test of claims becomes one test for each claim, on each target that it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sysevent.arches import ABIS, ARCHITECTURES, native, resolve_abi
from sysevent.contract.claim import Claim, of_test
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.layout_claim import LayoutClaim, Layouts
from sysevent.contract.log_claim import LogClaim
from sysevent.plugin import mistakes, vmms
from sysevent.plugin.case import HEADERS, HeadersOf, case_of, target_of
from sysevent.plugin.options import TARGETS
from sysevent.targets.spec import TargetSpec

# The id of a test whose claims are about nothing that was selected: it is left out, not skipped.
_NOWHERE = "nowhere"


class _Instance(msgspec.Struct, frozen=True):
    """One claim in one place."""

    id: str
    claim: Claim[Any] | None = None
    target: TargetSpec | HeadersOf | None = None
    abi: str = ""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no claims about real VMMs without one."""
    return True if vmms.ignored(collection_path, config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One instance for each claim, target of the claim's architecture, and ABI that a VMM there can have."""
    claims = of_test(metafunc.function)
    if claims is None:
        _on_each_target(metafunc)
        return
    config = metafunc.config
    found = [
        *(one for spec in config.stash[TARGETS] for one in _on_target(spec, claims, config)),
        *(one for claim in claims if isinstance(claim, LayoutClaim) for one in _of_headers(claim, config)),
    ] or [_Instance(_NOWHERE)]
    # Asks for a fixture such as `guest`, which has the scope of the session.
    by_fixtures = "target" in metafunc.fixturenames
    # The test need not ask for these two, which case_of() does.
    metafunc.fixturenames += [name for name in ("target", "abi") if name not in metafunc.fixturenames]
    metafunc.parametrize(
        ("target", "abi", "claim"),
        [(one.target, one.abi, one.claim) for one in found],
        ids=[one.id for one in found],
        indirect=["target"] if by_fixtures else False,
        # With the scope of the session, pytest would bring all tests into another order.
        scope="session" if by_fixtures else "function",
    )


def _on_target(
    spec: TargetSpec, claims: tuple[Claim[Any], ...], config: pytest.Config
) -> Iterator[_Instance]:
    first = native(spec.arch).name
    for abi in abis(spec, config.getoption("abi")):
        place = _place_id(spec, abi)
        for claim in claims:
            if (
                isinstance(claim, ExitClaim)
                and claim.arch == spec.arch
                and vmms.selected(claim, spec, abi, config)
            ):
                # A claim that needs a VMM of its own does not depend on the ABI that was selected.
                if not claim.abi or abi == first:
                    yield _Instance(f"{place}-{claim.title}", claim, spec, abi=abi)
            elif (isinstance(claim, LogClaim) and claim.arch == spec.arch) or (
                isinstance(claim, LayoutClaim) and claim.asks is Layouts.RUNNING_KERNEL
            ):
                yield _Instance(f"{place}-{claim.title}", claim, spec, abi=abi)


def _of_headers(claim: LayoutClaim, config: pytest.Config) -> Iterator[_Instance]:
    """The headers of every selected kernel, for every ABI of the selected architectures."""
    if claim.asks is Layouts.RUNNING_KERNEL:
        return
    # The headers of a kernel that runs already are not known.
    specs = [spec for spec in config.stash[TARGETS] if spec.booted]
    # Of the tree of --build, whose kernels are in a directory for each architecture.
    tree = config.getoption("build")
    kernel_of = {spec.id: f"tree:{tree}" if tree else spec.kernel for spec in specs}
    kernels = list(dict.fromkeys(kernel_of.values()))
    asked = config.getoption("abi")
    for kernel in kernels:
        label = HEADERS if len(kernels) == 1 else f"{HEADERS}@{kernel.rpartition('/')[2]}"
        for userspace in ABIS.values():
            is_native = userspace is native(userspace.arch)
            if (
                any(kernel_of[spec.id] == kernel and spec.arch == userspace.arch for spec in specs)
                and not (claim.asks is Layouts.FOREIGN_HEADERS and is_native)
                and (not asked or userspace.name in {resolve_abi(userspace.arch, name) for name in asked})
            ):
                headers = HeadersOf(kernel, userspace, label)
                yield _Instance(f"{label}-{userspace.name}-{claim.title}", claim, headers, userspace.name)


def _on_each_target(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a target and checks no claim: once for each, and each ABI there if it asks for the ABI."""
    if "target" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("abi")
    with_abi = "abi" in metafunc.fixturenames
    names = ("target", "abi") if with_abi else ("target",)
    places = [
        (spec, abi)
        for spec in metafunc.config.stash[TARGETS]
        for abi in abis(spec, asked)[: None if with_abi else 1]
    ]
    metafunc.parametrize(
        names,
        [place[: len(names)] for place in places] or [(None,) * len(names)],
        ids=[_place_id(spec, abi) if with_abi else spec.id for spec, abi in places] or [_NOWHERE],
        indirect=["target"],
        scope="session",
    )


def _place_id(spec: TargetSpec, abi: str) -> str:
    return spec.id if abi == native(spec.arch).name else f"{spec.id}-{abi}"


def abis(spec: TargetSpec, asked: list[str]) -> list[str]:
    """The ABIs to run a target's claims with; none when it has none of those that were asked for."""
    names = [abi.name for abi in ARCHITECTURES[spec.arch].abis if abi.can_use_kvm]
    wanted = {resolve_abi(spec.arch, name) for name in asked}
    return [name for name in names if not asked or name in wanted]


def _turn(item: pytest.Item) -> int:
    """When a test runs, among those of its target: each waits for as much as possible of what those before it wait for.

    0: for one scenario. 1: for a file, or what the plan does not foresee, so that order.py runs it when all scenarios
    are answered. 2: for the kernel's log, which is judged when all of them are.
    """
    case = case_of(item)
    if case is not None and isinstance(case.claim, LogClaim):
        return 2
    return 0 if case is not None and isinstance(case.claim, ExitClaim) else 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Target by target, so that each guest is booted once; what fits no target is left out, not skipped.

    The target with the most tests comes first: its guest works longest. Headers come last: no guest is needed for them.
    """
    tests = Counter(target.id for item in items if (target := target_of(item)))
    order = {name: index for index, (name, _) in enumerate(tests.most_common())}

    def position(item: pytest.Item) -> tuple[int, int]:
        target = target_of(item)
        return order[target.id] if target else len(order), _turn(item)

    nowhere = [item for item in items if item.name.endswith(f"[{_NOWHERE}]")]
    # Without --vmm nothing is said of claims that need one.
    shown = [item for item in nowhere if not vmms.needed(item, config)]
    if shown:
        config.hook.pytest_deselected(items=shown)
    if items and not shown and len(nowhere) == len(items):
        raise pytest.UsageError("all of these claims are about real VMMs: name one, such as --vmm qemu-10")
    mistakes.check_expressions(config, left=len(items) - len(nowhere))
    items[:] = sorted((item for item in items if item not in nowhere), key=position)
