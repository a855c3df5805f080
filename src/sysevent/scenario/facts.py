"""The scenarios that every kernel runs before a claim is judged: its capabilities, its features, and its build ID."""

from __future__ import annotations

from sysevent.arches import ARCHITECTURES
from sysevent.scenario import arm64, arm64_protected, riscv64, x86_64
from sysevent.scenario.kvm_mode import MODE
from sysevent.scenario.steps import File, Scenario

# By architecture: the capabilities, and what the firmware interface tells a guest. Must work on every target.
CAPABILITIES: dict[str, Scenario] = {"arm64": arm64.FACTS, "riscv64": riscv64.FACTS, "x86_64": x86_64.FACTS}

# By architecture: every scenario about facts, that of CAPABILITIES first. If one of the others fails, what it asks for
# counts as absent.
FACTS: dict[str, tuple[Scenario, ...]] = {
    "arm64": (arm64.FACTS, arm64.SMC, arm64.DEBUG, arm64_protected.PROTECTED),
    "riscv64": (riscv64.FACTS,),
    "x86_64": (x86_64.FACTS, x86_64.XEN),
}

# Bytes of a kernel's notes that are read; kernels have a few hundred.
_NOTES = 65536
# By architecture: the modules that KVM can consist of.
KVM_MODULES = {
    name: tuple(dict.fromkeys(("kvm", *(module.replace("-", "_") for module in arch.kvm_modules))))
    for name, arch in ARCHITECTURES.items()
}
# The label of the file that exists if a module is loaded, whether or not it has notes (CONFIG_KALLSYMS).
LOADED = "{} is loaded"

# By architecture: the notes of the running kernel, and of its KVM modules, with their build IDs, and the mode of KVM.
# They say nothing about the ABI: engine/identity.py compares them with the files that the kernel was booted from.
BUILD: dict[str, Scenario] = {
    arch: Scenario(
        f"{arch}.build",
        arch,
        (
            File("/sys/kernel/notes", "kernel", length=_NOTES),
            *(
                step
                for name in names
                for step in (
                    File(f"/sys/module/{name}/notes/.note.gnu.build-id", name),
                    File(f"/sys/module/{name}/initstate", LOADED.format(name)),
                )
            ),
            *MODE[arch],
        ),
    )
    for arch, names in KVM_MODULES.items()
}
