"""Whether a machine that is there is the one that its target file means, and can be asked at all. No I/O."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from sysevent.arches import ARCHITECTURES
from sysevent.errors import NoKvm, WrongHost
from sysevent.targets.spec import TargetSpec

# What `expect` may name, and where it is from.
TRAITS = {
    "kernel": "uname -r",
    "version": "uname -v",
    "machine": "uname -m",
    "node": "uname -n",
    "qemu": "the version of the QEMU that it runs in",
    "accel": "what that QEMU uses, tcg or kvm",
}


def check(spec: TargetSpec, traits: Mapping[str, str]) -> None:
    """WrongHost when what a machine says of itself is not what its row promises; "" and absence are no answer."""
    machine = traits.get("machine", "")
    wanted = ARCHITECTURES[spec.arch].machine
    if machine and machine != wanted:
        raise WrongHost(
            f"{spec.id}: arch = {spec.arch!r}, and this machine is {machine} (uname -m), not {wanted}: "
            "correct arch or address in the target file"
        )
    for name, glob in spec.expect.items():
        if name not in TRAITS:
            raise WrongHost(
                f"{spec.id}: expect.{name} is no fact of a machine; there are {', '.join(TRAITS)}"
            )
        value = traits.get(name, "")
        if not fnmatch.fnmatchcase(value, glob):
            raise WrongHost(
                f"{spec.id}: expect.{name} = {glob!r}, and this machine has {value!r} ({TRAITS[name]}): it is not "
                "asked. Boot what is expected there, or correct the target file"
            )


def check_kvm(spec: TargetSpec, state: str, user: str) -> None:
    """NoKvm with what to do, from what the machine says of /dev/kvm: "usable", "missing", or its line of ls -l."""
    if state == "usable":
        return
    if state == "missing":
        raise NoKvm(
            f"{spec.id}: there is no /dev/kvm: load the module (modprobe kvm_intel, kvm_amd or kvm), switch "
            "virtualization on in the firmware, or choose a machine whose CPU has it"
        )
    raise NoKvm(
        f"{spec.id}: the user {user} may not open /dev/kvm ({state}): `usermod -aG kvm {user}` there as root, "
        "and log in anew"
    )
