"""The traits of a machine, such as its kernel and architecture, compared with its row in the target file. No I/O."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm, WrongHost
from sysevent.targets.spec import TargetSpec

# The traits that `expect` of a target may name, and the source of each.
TRAITS = {
    "kernel": "uname -r",
    "version": "uname -v",
    "machine": "uname -m",
    "node": "uname -n",
    "build_id": "the build ID in /sys/kernel/notes",
    "qemu": "the version of the QEMU that it runs in",
    "accel": "the accelerator of that QEMU, tcg or kvm",
}


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
        if name == "build_id" and name not in traits:
            # Only the VMM reads it: engine/restarts.py checks again then.
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
