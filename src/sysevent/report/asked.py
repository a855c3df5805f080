"""The record of a target that has answered."""

from __future__ import annotations

from sysevent.engine.asker import Asker
from sysevent.model import Facts
from sysevent.report import records


def target(guest: Asker, facts: Facts, kernel_log: str = "") -> records.Target:
    """Return the record of a target with these facts. kernel_log: why its kernel's log could not be read."""
    # No kernel for a machine that is not booted by us.
    spec, kernel, identity, traits = guest.spec, guest.kernel, facts.identity, guest.restarts.traits
    return records.Target(
        name=spec.id,
        arch=spec.arch,
        where=traits.get("accel") or spec.where,
        fallback=traits.get("fallback", ""),
        kernel=facts.release,
        spec=kernel.spec if kernel else "",
        package=kernel.version if kernel else "",
        qemu=traits.get("qemu", ""),
        vmm=facts.build_id,
        build_id=identity.build_id if identity else "",
        module_build_ids=identity.modules if identity else {},
        identity=identity.proof if identity else None,
        identity_reason=identity.reason if identity else "",
        mode=facts.mode,
        capabilities=facts.capabilities,
        features=facts.features,
        origin=guest.restarts.origin,
        seconds_to_boot=round(guest.restarts.seconds_to_boot, 3),
        kernel_log=kernel_log,
    )
