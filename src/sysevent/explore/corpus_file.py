"""Makes corpus.jsonl: for each rule of each model the shortest sequence among many random ones that reaches it.

python -m sysevent.explore.corpus_file > src/sysevent/explore/corpus.jsonl
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from sysevent.abi import psci, sbi
from sysevent.abi.arm64 import VCPU_PSCI_0_2
from sysevent.abi.capabilities import Capability
from sysevent.abi.hyperv import MSR_RESET
from sysevent.abi.x86_64 import MSI_INIT
from sysevent.conformance.contract import Configuration, Contract
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.judge import judge
from sysevent.conformance.machine import Action, Mode
from sysevent.conformance.play import Sequence
from sysevent.conformance.rules import Rule
from sysevent.conformance.simulation import observation
from sysevent.explore import corpus, generate
from sysevent.explore.validity import valid
from sysevent.model import Facts
from sysevent.scenario.arm64 import RAM
from sysevent.scenario.gic import PPI
from sysevent.scenario.riscv64 import RETURNED_AT

# Seeds, and sequences of each.
_SEEDS, _SIZE = 20, 100
# A kernel that has all that the models know.
_FACTS = {
    "arm64": {
        "psci.default": psci.version(1, 3),
        "smc.version": psci.version(1, 3),
        "smccc.filter": 0,
        "gicv3": 0,
    },
    "riscv64": {"sbi.enable.srst": 1, "sbi.enable.susp": 0, "sbi.probe.legacy_shutdown": 0, "aia": 0},
    "x86_64": {"hyperv.gated": 0},
}


_HSM_SUSPEND = (0, 0, 0, 3, 4, 5, sbi.HART_SUSPEND, sbi.HSM)
_SHUTDOWN = (0, 0, 0, 3, 4, 5, 0, sbi.SRST)
# Sequences of rules that random ones seldom reach, or reach only on some kernels or by timing. They stay as they are.
_BY_HAND = (
    Sequence(
        "arm64",
        Configuration(2),
        (
            Action("call", 1, (psci.CPU_SUSPEND_64, 0, 0, 0), Mode.ASYNC),
            Action("call", 0, (psci.Function.SYSTEM_OFF, 0, 0, 0)),
            Action("line", 1, (1,)),
            Action("wait", 1),
        ),
    ),
    Sequence(
        "arm64",
        Configuration(4, "off"),
        (
            Action("call", 0, (psci.CPU_ON_64, 3, RAM, 0xC0DE)),
            Action("init", 3, (VCPU_PSCI_0_2,)),
            Action("run", 3, (), Mode.KEEP),
        ),
    ),
    Sequence(
        "arm64",
        Configuration(1, "gic"),
        (
            Action("irq_mask", 0, (0xF0,)),
            Action("irq_enabled", 0, (PPI, 1)),
            Action("ppi", 0, (PPI, 1)),
            Action("distributor", 0, (1,)),
            Action("call", 0, (psci.CPU_SUSPEND_64, 0, 0, 0)),
        ),
    ),
    Sequence(
        "x86_64",
        Configuration(1),
        (
            Action("enable", 0, (1, 0)),
            Action("set_msr", 0, (MSR_RESET, 1)),
            Action("triple_fault", 0, (1,)),
            Action("call", 0, (MSR_RESET, 0)),
            Action("run"),
        ),
    ),
    Sequence(
        "x86_64",
        Configuration(2, "split"),
        (
            Action("set_state", 1, (0,)),
            Action("call", 1, (MSR_RESET, 0)),
            Action("set_state", 1, (1,)),
            Action("enable", 0, (1, 0)),
            Action("triple_fault", 1, (1,)),
            Action("run", 1),
            Action("set_state", 1, (3,)),
            Action("run", 1),
            Action("get_state", 1),
        ),
    ),
    Sequence(
        "riscv64",
        Configuration(2, "interrupts"),
        (
            Action("set_state", 1, (0,)),
            Action("call", 1, _HSM_SUSPEND, Mode.ASYNC),
            Action("call", 0, _SHUTDOWN),
            Action("interrupt", 1, (0xFFFF_FFFF,)),
            Action("wait", 1),
        ),
    ),
    # Of three, since the last vCPU may not be in KVM's map of local APICs yet.
    Sequence("x86_64", Configuration(3, "starts"), (Action("msi", 1, (MSI_INIT,)), Action("run", 1))),
    # Not by system suspend, which not every kernel has.
    Sequence(
        "riscv64",
        Configuration(2, "aia accepts"),
        (
            Action("call", 0, (1, RETURNED_AT, 0xC0DE, 3, 4, 5, sbi.HART_START, sbi.HSM)),
            Action("call", 1, _SHUTDOWN),
        ),
    ),
)


def complete(arch: str) -> Facts:
    """Return the facts of a kernel that has all that the model of an architecture knows."""
    needed = (
        Capability.HYPERV,
        Capability.HYPERV_ENFORCE_CPUID,
        Capability.SYSTEM_EVENT_DATA,
        Capability.ARM_SYSTEM_SUSPEND,
        Capability.X86_TRIPLE_FAULT_EVENT,
    )
    capabilities = {one.on_vm: 1 for one in needed} | {Capability.MCE.on_system: 1}
    return Facts(arch, "", capabilities, dict(_FACTS[arch]))


def reached(contract: Contract, sequence: Sequence) -> frozenset[Rule]:
    """Return the rules that explain what a kernel gives for a sequence that does everything as the model says."""
    return judge(contract, sequence, observation(contract, sequence)).rules


def shortest(contract: Contract) -> Iterator[Sequence]:
    """Yield a short sequence for each rule, each sequence once."""
    best: dict[Rule, Sequence] = {}
    for sequence in _BY_HAND:
        if sequence.arch == contract.arch:
            best |= dict.fromkeys(reached(contract, sequence), sequence)
    for seed in range(_SEEDS):
        for sequence in generate.batch(contract, seed, _SIZE):
            for rule in reached(contract, sequence):
                if rule not in best or len(sequence.actions) < len(best[rule].actions):
                    best[rule] = sequence
    for rule in contract.rules:
        if rule in best and best[rule] not in _BY_HAND:

            def still(one: Sequence, wanted: Rule = rule) -> bool:
                return wanted in reached(contract, one)

            best[rule] = _on_simplest(contract, generate.drop_actions(contract, best[rule], still), still)
    yield from dict.fromkeys(best[rule] for rule in contract.rules if rule in best)


def _on_simplest(contract: Contract, sequence: Sequence, still: Callable[[Sequence], bool]) -> Sequence:
    """Return a sequence on the simplest machine on which it still reaches its rule: not every kernel has all."""
    machines = (Sequence(sequence.arch, made, sequence.actions) for made in contract.configurations)
    return next((one for one in machines if valid(contract, one) and still(one)), sequence)


def main() -> None:
    """Print the file."""
    for arch, contract_of in CONTRACTS.items():
        for sequence in shortest(contract_of(complete(arch))):
            sys.stdout.write(corpus.line(sequence))


if __name__ == "__main__":
    main()
