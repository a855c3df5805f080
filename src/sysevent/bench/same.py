"""Whether restored guests give what a booted one gives, byte for byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sysevent.bench.guests import guest
from sysevent.contract import catalogue
from sysevent.errors import SyseventError
from sysevent.model import Observation
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec


def everything(spec: TargetSpec, settings: Settings, *, fresh: bool) -> dict[tuple[str, str], Any]:
    """What every scenario gives on one guest with every ABI, by (scenario, ABI); an error as its words."""
    found: dict[tuple[str, str], Any] = {}
    with tempfile.TemporaryDirectory(prefix="sysevent-bench-") as folder:
        asked = guest(spec, settings, fresh=fresh, logs=Path(folder))
        try:
            asked.life.running()
            if not fresh and asked.life.origin != "snapshot":
                # The first time there is none yet: it was taken just now.
                asked.close()
                return everything(spec, settings, fresh=fresh)
            scenarios = [one for one in catalogue.load().scenarios.values() if one.arch == spec.arch]
            questions = [(one, abi.name) for abi in asked.arch.abis if abi.kvm for one in scenarios]
            asked.plan(questions)
            for scenario, abi in questions:
                try:
                    found[scenario.name, abi] = bytes_of(asked.observe(scenario, abi))
                except SyseventError as error:
                    found[scenario.name, abi] = str(error)
        finally:
            asked.close()
    return found


def bytes_of(seen: Observation) -> dict[str, Any]:
    """An observation without its times, which differ from run to run; registers one by one."""
    return {
        "exits": {
            label: {
                **{
                    name: value
                    for name, value in msgspec.structs.asdict(raw).items()
                    if name not in ("microseconds", "registers")
                },
                "registers": dict(enumerate(raw.registers)),
            }
            for label, raw in seen.exits.items()
        },
        "answers": {label: msgspec.structs.asdict(answer) for label, answer in seen.answers.items()},
    }


def steady(cold: list[dict[tuple[str, str], Any]]) -> dict[tuple[str, str], dict[str, Any] | str]:
    """What several boots agree on, step by step: a counter that runs freely is in none of them the same."""
    first, *others = cold
    return {key: _common(value, [other.get(key) for other in others]) for key, value in first.items()}


def _common(value: Any, others: list[Any]) -> Any:
    if isinstance(value, dict):
        return {
            name: _common(inner, [other[name] for other in others])
            for name, inner in value.items()
            if all(isinstance(other, dict) and name in other for other in others)
            and _is_steady(inner, [other[name] for other in others])
        }
    return value


def _is_steady(value: Any, others: list[Any]) -> bool:
    return isinstance(value, dict) or all(other == value for other in others)


def differences(wanted: Any, found: Any, place: str = "") -> Iterator[str]:
    """Where found is not what was wanted; what was not steady is not wanted."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, inner in wanted.items():
            where = f"{place} {name}".strip()
            if name not in found:
                yield f"{where}: missing"
            else:
                yield from differences(inner, found[name], where)
    elif wanted != found:
        yield f"{place}: {_short(wanted)} became {_short(found)}"


def _short(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
