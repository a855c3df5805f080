"""What one test has gathered, from which its verdict and its record are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES, Abi
from sysevent.contract.claim import Claim
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.contract.log_claim import LogEvidence
from sysevent.model import Status, Verdict
from sysevent.targets.spec import TargetSpec

# The name of the status among a report's user_properties.
STATUS = "sysevent"
# The label of headers, as long as there are those of one kernel.
HEADERS = "headers"


class HeadersOf(msgspec.Struct, frozen=True):
    """One kernel's headers for one userspace ABI: what a test of headers has in place of a target."""

    # As --kernel takes it.
    kernel: str
    userspace: Abi
    # What run.jsonl has in place of a target: "headers", or "headers@6.1" where there are several kernels.
    label: str


class Case(msgspec.Struct):
    """One claim on one target; filled while its test runs."""

    claim: Claim[Any]
    # The target's name, or the label of the headers.
    target: str
    # Of the VMM that asks, or that the headers are compiled for.
    abi: str
    # True: it is the ABI of the kernel itself, or headers, whose column in the matrix does not name an ABI.
    native: bool
    # True once the test has handed its claim to `check`.
    checked: bool = False
    # The kernel that answered; "" as long as none has.
    kernel: str = ""
    evidence: ExitEvidence | HeaderFacts | LogEvidence | None = None
    verdict: Verdict | None = None
    # In how many guests it failed; 0 unless it is FAIL.
    confirmed: int = 0
    seconds: float = 0.0


CASE = pytest.StashKey[Case]()
# A tuple: the type of A | B is made again each time it is written.
_PLACES = (TargetSpec, HeadersOf)


def case_of(item: pytest.Item) -> Case | None:
    """A case for a test of a claim, from its parameters; None for any other test."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    claim, target = params.get("claim"), params.get("target")
    if claim is None or target is None:
        return None
    if isinstance(target, HeadersOf):
        return Case(claim, target.label, target.userspace.name, native=True)
    abi = str(params["abi"])
    return Case(claim, target.id, abi, native=abi == ARCHITECTURES[target.arch].abis[0].name)


def asked_of(item: pytest.Item) -> TargetSpec | HeadersOf | None:
    """The target that a test runs on, or the headers that it is about; None for a test without either."""
    found = getattr(getattr(item, "callspec", None), "params", {}).get("target")
    return found if isinstance(found, _PLACES) else None


def target_of(item: pytest.Item) -> TargetSpec | None:
    """The target that a test runs on; None for a test without, and for a test of headers."""
    found = asked_of(item)
    return found if isinstance(found, TargetSpec) else None


def place_of(item: pytest.Item) -> str:
    """The id of a test's target, or the label of its headers; "" for a test without either."""
    found = asked_of(item)
    return found.label if isinstance(found, HeadersOf) else found.id if found else ""


def targets_of(items: Iterable[pytest.Item]) -> list[TargetSpec]:
    """The targets of which tests need a guest, in the order of the tests."""
    needed = (item for item in items if case_of(item) or "guest" in getattr(item, "fixturenames", ()))
    return list({spec.id: spec for item in needed if (spec := target_of(item))}.values())


def place(nodeid: str, targets: list[TargetSpec]) -> tuple[TargetSpec | None, str]:
    """The target in a test's id, and the rest of the id: "i386-hyperv.reset"; (None, "") for a test without."""
    inside = nodeid.partition("[")[2].removesuffix("]")
    fits = [spec for spec in targets if inside == spec.id or inside.startswith(f"{spec.id}-")]
    found = max(fits, key=lambda spec: len(spec.id), default=None)
    return found, inside[len(found.id) + 1 :] if found else ""


def status_of(report: pytest.TestReport | pytest.CollectReport) -> Status | None:
    """The status that outcome.py gave a report; None for a test without a claim."""
    for name, value in getattr(report, "user_properties", ()):
        if name == STATUS:
            return Status(str(value))
    return None


def arch_of(item: pytest.Item) -> str:
    """The architecture that a test is about: that of its target, or of its headers; "" if it has neither."""
    found = asked_of(item)
    return found.userspace.arch if isinstance(found, HeadersOf) else found.arch if found else ""
