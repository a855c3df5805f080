"""The proof that the kernel that answers is the one whose files were given: their GNU build IDs are equal.

A guest is asked for the notes of its kernel and of its KVM modules before anything else, in each session. What it says
is never a key or a name by itself: it is compared with what the files on disk say.
"""

from __future__ import annotations

from sysevent.decode.build_id import of_notes
from sysevent.engine.kvm_mode import kvm_mode
from sysevent.errors import WrongKernel
from sysevent.model import ExpectedKernel, KernelIdentity, Observation, Proof
from sysevent.scenario.facts import KVM_MODULES, LOADED


def identify(name: str, expected: ExpectedKernel, release: str, seen: Observation) -> KernelIdentity:
    """Return which kernel answered BUILD on the target with this name; WrongKernel if it is another than expected.

    release: what its HELLO said, by which claims decide what a kernel must have.
    """
    build_id = of_notes(seen.answers["kernel"].data)
    modules = {
        module: of_notes(seen.answers[module].data)
        for module in KVM_MODULES[seen.arch]
        if _is_loaded(module, seen)
    }
    mode = kvm_mode(seen.arch, seen.answers)
    if not expected.image:
        reason = "" if build_id else "it has no build ID in /sys/kernel/notes"
        return KernelIdentity(build_id, modules, Proof.RECORDED, reason, mode=mode)
    if expected.build_id and build_id and build_id != expected.build_id:
        raise WrongKernel(
            f"{name}: the kernel that answers has the build ID {build_id}, and {expected.image} has "
            f"{expected.build_id}: nothing that it answers counts. Run again with --fresh; if it happens again, report "
            "it with both files"
        )
    if expected.release and release != expected.release:
        raise WrongKernel(
            f"{name}: the kernel that answers calls itself Linux {release}, and {expected.image} is Linux "
            f"{expected.release}: nothing that it answers counts. Run again with --fresh"
        )
    for module, found in modules.items():
        _check_module(name, module, found, expected)
    reason = _obstacle(build_id, modules, expected)
    proof = Proof.UNPROVEN if reason else Proof.PROVEN
    return KernelIdentity(build_id, modules, proof, reason, expected.content, mode)


def _is_loaded(module: str, seen: Observation) -> bool:
    return seen.answers[module].ret >= 0 or seen.answers[LOADED.format(module)].ret >= 0


def _check_module(name: str, module: str, found: str, expected: ExpectedKernel) -> None:
    if module not in expected.modules:
        raise WrongKernel(
            f"{name}: the module {module} is loaded there, and was not given: nothing that this kernel answers counts"
        )
    wanted = expected.modules[module]
    if wanted and found and wanted != found:
        raise WrongKernel(
            f"{name}: the module {module} that is loaded there has the build ID {found}, and its file has {wanted}: "
            "nothing that this kernel answers counts. Run again with --fresh"
        )


def _obstacle(build_id: str, modules: dict[str, str], expected: ExpectedKernel) -> str:
    """Why the build IDs prove nothing; "" if all could be compared."""
    if not expected.build_id:
        return expected.obstacle or f"{expected.image} has no build ID"
    if not build_id:
        return "the kernel that answers has no build ID in /sys/kernel/notes"
    for module, found in modules.items():
        if not found or not expected.modules[module]:
            return f"the module {module} has no build ID {'there' if expected.modules[module] else 'in its file'}"
    return ""
