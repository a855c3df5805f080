"""Checks that restored guests give the same bytes as booted ones."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.bench.measure import guest
from sysevent.checkout import document
from sysevent.contract import catalogue
from sysevent.engine.question import Question
from sysevent.errors import HarnessError, SyseventError
from sysevent.model import Observation
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

# Boots after which a guest must have a snapshot: one whose kernel is in no package is saved at its second boot.
_BOOTS = 4


def observe_all(
    spec: TargetSpec, settings: Settings, *, fresh: bool, boots: int = _BOOTS
) -> dict[tuple[str, str], Any]:
    """(scenario, ABI) -> comparable() of the observation on one guest, or the text of an error.

    fresh: True: the guest boots; False: it is restored from a snapshot, which is taken first if there is none.
    HarnessError if there is still none after so many boots.
    """
    found: dict[tuple[str, str], Any] = {}
    with tempfile.TemporaryDirectory(prefix="sysevent-bench-") as folder:
        scenarios = [one for one in catalogue.load().scenarios.values() if one.arch == spec.arch]
        abis = [abi.name for abi in ARCHITECTURES[spec.arch].abis if abi.can_use_kvm]
        questions = [Question(one, abi) for abi in abis for one in scenarios]
        asked = guest(spec, settings, fresh=fresh, logs=Path(folder), plan=lambda _: questions)
        try:
            asked.running()
            if not fresh and asked.restarts.origin != "snapshot":
                # This guest was booted because there was no snapshot. Now there should be one.
                asked.close()
                if boots == 0:
                    raise HarnessError(
                        f"{spec.id}: no snapshot of it can be restored: see {document('speed.md')}"
                    )
                return observe_all(spec, settings, fresh=fresh, boots=boots - 1)
            for question in questions:
                key = question.scenario.name, question.abi
                try:
                    found[key] = comparable(asked.observe(question.scenario, question.abi))
                except SyseventError as error:
                    found[key] = str(error)
        finally:
            asked.close()
    return found


def comparable(seen: Observation) -> dict[str, Any]:
    """An observation as nested dicts, without its times, which differ from run to run; registers by number."""
    return {
        "exits": {
            label: {
                **{
                    name: value
                    for name, value in msgspec.structs.asdict(raw).items()
                    if name not in ("microseconds", "cpu_microseconds", "registers")
                },
                "registers": dict(enumerate(raw.registers)),
            }
            for label, raw in seen.exits.items()
        },
        "answers": {label: msgspec.structs.asdict(answer) for label, answer in seen.answers.items()},
    }


def reproducible(boots: list[dict[tuple[str, str], Any]]) -> dict[tuple[str, str], dict[str, Any] | str]:
    """The values that are equal in all boots. It leaves out free-running counters, for example."""
    first, *others = boots
    return {key: _common(value, [other.get(key) for other in others]) for key, value in first.items()}


def _common(value: Any, others: list[Any]) -> Any:
    if isinstance(value, dict):
        return {
            name: _common(inner, [other[name] for other in others])
            for name, inner in value.items()
            if all(isinstance(other, dict) and name in other for other in others)
            and _is_reproducible(inner, [other[name] for other in others])
        }
    return value


def _is_reproducible(value: Any, others: list[Any]) -> bool:
    return isinstance(value, dict) or all(other == value for other in others)


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """One line for each value of wanted that found has not; found may have more. path: the keys so far."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, inner in wanted.items():
            inner_path = f"{path} {name}".strip()
            if name not in found:
                yield f"{inner_path}: missing"
            else:
                yield from differences(inner, found[name], inner_path)
    elif wanted != found:
        yield f"{path}: {_short(wanted)} became {_short(found)}"


def _short(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
