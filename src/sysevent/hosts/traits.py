"""The traits of a machine, such as its kernel and architecture, compared with its row in the target file. No I/O."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm, WrongHost
from sysevent.targets.spec import TargetSpec

# The mode of a machine's KVM (engine/kvm_mode.py): each architecture has some of these.
MODE = {
    "page": "the size of the kernel's pages, such as 4k",
    "mode": "arm64: VHE, nVHE, hVHE, protected nVHE or protected hVHE; +NV2 behind it: EL2 can be given to guests",
    "stage2": "riscv64: the format of the page tables of guests, such as Sv48x4",
    "aia": "riscv64: on if KVM can give guests an interrupt controller of the AIA",
    "vendor": "x86_64: amd (SVM) or intel (VMX)",
    "npt": "x86_64: on if kvm_amd uses nested page tables",
    "ept": "x86_64: on if kvm_intel uses extended page tables",
    "nested": "x86_64: on if guests can have SVM or VMX",
    "unrestricted_guest": "x86_64: on if kvm_intel runs real mode without its emulator",
}
# The traits that `expect` of a target may name, and the source of each.
TRAITS = {
    "kernel": "uname -r",
    "version": "uname -v",
    "machine": "uname -m",
    "node": "uname -n",
    "build_id": "the build ID in /sys/kernel/notes",
    "qemu": "the version of the QEMU that it runs in",
    "accel": "the accelerator of that QEMU, tcg or kvm",
    **MODE,
}
# Those that only the VMM finds out: engine/restarts.py checks again then.
_LATE = frozenset(("build_id", *MODE))


def check_traits(spec: TargetSpec, traits: Mapping[str, str]) -> None:
    """Raise WrongHost unless a machine has the architecture of its target and every trait that `expect` requires.

    A missing or empty "machine" is not an error: it may become known later.
    """
    machine = traits.get("machine", "")
    wanted = ARCHITECTURES[spec.arch].uname_machine
    if machine and machine != wanted:
        raise WrongHost(
            f"{spec.id}: arch = {spec.arch!r}, and this machine is {machine} (uname -m), not {wanted}: "
            "correct arch or address in the target file"
        )
    for name, glob in spec.expect.items():
        if name not in TRAITS:
            raise WrongHost(
                f"{spec.id}: expect.{name} is not a known trait; use one of {', '.join(TRAITS)} in the target file"
            )
        if name in _LATE and name not in traits:
            continue
        value = traits.get(name, "")
        if not fnmatch.fnmatchcase(value, glob):
            raise WrongHost(
                f"{spec.id}: expect.{name} = {glob!r}, and this machine has {value!r} ({TRAITS[name]}), so it is not "
                "asked: boot the expected kernel there, or correct the target file"
            )


def check_kvm_access(spec: TargetSpec, state: str, user: str) -> None:
    """Raise NoKvm, with the remedy, unless the VMM may use /dev/kvm on a machine.

    state: "usable", "missing", or the line of `ls -l` for a device that user may not open.
    """
    if state == "usable":
        return
    if state == "missing":
        raise NoKvm(
            f"{spec.id}: there is no /dev/kvm: load the module (modprobe kvm_intel, kvm_amd or kvm), enable "
            "virtualization in the firmware, or choose a machine whose CPU supports it"
        )
    raise NoKvm(
        f"{spec.id}: the user {user} may not open /dev/kvm ({state}): run `usermod -aG kvm {user}` there as root, "
        "then log in again"
    )
