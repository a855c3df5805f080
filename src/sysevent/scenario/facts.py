"""The scenarios that every kernel runs before a claim is judged: its capabilities, its features, and its build ID."""

from __future__ import annotations

from sysevent.scenario import arm64, riscv64, x86_64
from sysevent.scenario.steps import File, Scenario

# By architecture: the capabilities, and what the firmware interface tells a guest. Must work on every target.
CAPABILITIES: dict[str, Scenario] = {"arm64": arm64.FACTS, "riscv64": riscv64.FACTS, "x86_64": x86_64.FACTS}

# By architecture: every scenario about facts, that of CAPABILITIES first. If one of the others fails, what it asks for
# counts as absent.
FACTS: dict[str, tuple[Scenario, ...]] = {
    "arm64": (arm64.FACTS, arm64.SMC, arm64.DEBUG),
    "riscv64": (riscv64.FACTS,),
    "x86_64": (x86_64.FACTS, x86_64.XEN),
}

# By architecture: the build IDs of the running kernel and of its module kvm. They say nothing about the ABI, and no
# record has them.
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
