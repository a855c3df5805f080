"""What every kernel is asked before anything is judged: its capabilities, its features, and which build it is."""

from __future__ import annotations

from sysevent.scenario import arm64, riscv64, x86_64
from sysevent.scenario.steps import File, Scenario

# Capabilities, and what the firmware interface of a guest says. This must work on every target.
CAPABILITIES: dict[str, Scenario] = {"arm64": arm64.FACTS, "riscv64": riscv64.FACTS, "x86_64": x86_64.FACTS}

# All that is asked, the one above first. What another one cannot tell counts as not there.
FACTS: dict[str, tuple[Scenario, ...]] = {
    "arm64": (arm64.FACTS, arm64.SMC, arm64.DEBUG),
    "riscv64": (riscv64.FACTS,),
    "x86_64": (x86_64.FACTS, x86_64.XEN),
}

# Which build of the kernel, and of its module kvm, is running: no fact about its ABI, and in no record.
BUILD: dict[str, Scenario] = {
    arch: Scenario(
        f"{arch}.build",
        arch,
        (
            File("/sys/kernel/notes", "kernel"),
            File("/sys/module/kvm/notes/.note.gnu.build-id", "kvm"),
        ),
    )
    for arch in FACTS
}
