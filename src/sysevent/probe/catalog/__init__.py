"""Every scenario there is, by name."""

from __future__ import annotations

from sysevent.errors import HarnessError
from sysevent.probe.catalog import arm64, riscv64, x86_64
from sysevent.probe.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for arch in (arm64, riscv64, x86_64) for scenario in (arch.FACTS, *arch.SCENARIOS)
}
FACTS: dict[str, Scenario] = {arch.FACTS.arch: arch.FACTS for arch in (arm64, riscv64, x86_64)}


def scenario(name: str) -> Scenario:
    """The scenario called name; HarnessError when a test asks for one that nobody wrote."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise HarnessError(
            f"no scenario is called {name!r}; they stand in src/sysevent/probe/catalog/"
        ) from None
