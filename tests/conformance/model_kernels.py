"""Kernels that follow a model, and can be given a fault: they answer a scenario as a guest's VMM would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from sysevent.conformance.contract import Contract
from sysevent.conformance.play import Sequence
from sysevent.conformance.simulation import observation
from sysevent.model import Facts, Observation, RawExit
from sysevent.scenario.steps import Scenario

FACTS = {
    "arm64": Facts(
        "arm64",
        "6.12",
        {"vm/215": 1, "vm/216": 1},
        {"psci.default": 0x1_0003, "smc.version": 0x1_0003, "smccc.filter": 0, "gicv3": 0},
    ),
    "riscv64": Facts(
        "riscv64",
        "6.12",
        {"vm/215": 1},
        {"sbi.enable.srst": 1, "sbi.enable.susp": 0, "sbi.probe.legacy_shutdown": 0, "aia": 0},
    ),
    "x86_64": Facts(
        "x86_64",
        "6.12",
        {f"vm/{n}": 1 for n in (44, 199, 215, 218)} | {"system/31": 1},
        {"hyperv.gated": 0},
    ),
}
Fault = Callable[[Sequence, Observation], Observation]


class ModelKernel:
    """A kernel that follows the model; a fault changes what it gives for some sequences."""

    def __init__(
        self, contract: Contract, facts: Facts, sequences: dict[str, Sequence], fault: Fault | None
    ) -> None:
        """sequences: by the names of their scenarios."""
        self._contract, self._facts, self._sequences, self._fault = contract, facts, sequences, fault

    def facts(self) -> Facts:
        return self._facts

    def observe(self, asked: Scenario) -> Observation:
        sequence = self._sequences[asked.name]
        seen = observation(self._contract, sequence)
        return self._fault(sequence, seen) if self._fault else seen

    def stream(self, scenarios: Iterable[Scenario]) -> Iterator[Observation]:
        return (self.observe(one) for one in scenarios)

    def forget(self, asked: Scenario) -> None:
        pass

    def close(self) -> None:
        pass


def changed(raw: RawExit, at: int, data: bytes) -> RawExit:
    """Return an exit with other bytes at an offset of kvm_run."""
    return msgspec.structs.replace(raw, head=raw.head[:at] + data + raw.head[at + len(data) :])
