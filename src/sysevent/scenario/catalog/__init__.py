"""Every scenario there is, by name."""

from __future__ import annotations

from sysevent.errors import HarnessError
from sysevent.scenario.catalog import arm64, arm64_states, riscv64, riscv64_states, x86_64, x86_64_states, xen
from sysevent.scenario.steps import File, Scenario

_ALL = (arm64, arm64_states, riscv64, riscv64_states, x86_64, x86_64_states, xen)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        *(arch.FACTS for arch in (arm64, riscv64, x86_64)),
        *(scenario for rows in _ALL for scenario in rows.SCENARIOS),
    )
}

# What is asked before anything is judged. The first tells the capabilities and must work; what another one
# cannot tell counts as not there.
FACTS: dict[str, tuple[str, ...]] = {
    "arm64": (arm64.FACTS.name, arm64.SMC.name, arm64_states.DEBUG.name),
    "riscv64": (riscv64.FACTS.name,),
    "x86_64": (x86_64.FACTS.name, xen.FACTS.name),
}

# Which build of the kernel, and of its module kvm, is running: no fact about its ABI, and in no record.
BUILD = {arch: f"{arch}.build" for arch in FACTS}
SCENARIOS |= {
    name: Scenario(
        name,
        arch,
        (
            File("/sys/kernel/notes", "kernel"),
            File("/sys/module/kvm/notes/.note.gnu.build-id", "kvm"),
        ),
    )
    for arch, name in BUILD.items()
}


def scenario(name: str) -> Scenario:
    """The scenario called name; HarnessError when a test asks for one that nobody wrote."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise HarnessError(
            f"no scenario is called {name!r}; they stand in src/sysevent/scenario/catalog/"
        ) from None
