"""Observations and facts as records: what was seen can be judged again, anywhere, without the kernel."""

from __future__ import annotations

from typing import Any

import msgspec

from sysevent.errors import UsageError
from sysevent.model import Answer, Facts, Observation, RawExit
from sysevent.report.run_log import Record


def observation(seen: Observation) -> dict[str, Any]:
    """The fields of an `observation` record; bytes as hex."""
    return {
        "scenario": seen.scenario,
        "arch": seen.arch,
        "abi": seen.abi,
        "exits": {label: _plain(raw) | {"head": raw.head.hex()} for label, raw in seen.exits.items()},
        "answers": {
            label: _plain(answer) | {"data": answer.data.hex()} for label, answer in seen.answers.items()
        },
        "symbols": seen.symbols,
    }


def _plain(value: RawExit | Answer) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(
        value, builtin_types=(bytes,)
    )  # asdict() copies every number
    return fields


def read_observation(record: Record) -> Observation:
    """The observation of a record; UsageError when it is incomplete."""
    try:
        exits = {
            label: RawExit(**raw | {"head": bytes.fromhex(raw["head"]), "registers": tuple(raw["registers"])})
            for label, raw in record["exits"].items()
        }
        answers = {
            label: Answer(**answer | {"data": bytes.fromhex(answer["data"])})
            for label, answer in record["answers"].items()
        }
        return Observation(
            record["scenario"], record["arch"], record["abi"], exits, answers, dict(record["symbols"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"not a recorded observation: {error!r}") from error


def read_facts(record: Record) -> Facts:
    """The facts of a `target` record; UsageError when it is incomplete."""
    try:
        return Facts(
            record["arch"], record["kernel"], record["capabilities"], record["features"], record["vmm"]
        )
    except KeyError as error:
        raise UsageError(f"not a recorded target: {error!r} is missing") from error
