"""Checks the ABIs that are asked for against the targets that are selected."""

from __future__ import annotations

from collections.abc import Sequence

from sysevent import option_values
from sysevent.arches import ARCHITECTURES, NATIVE, resolve_abi
from sysevent.errors import UsageError
from sysevent.targets.spec import TargetSpec


def check_abis(asked: Sequence[str], chosen: Sequence[TargetSpec]) -> None:
    """Raise UsageError for an ABI of --abi that no VMM can have, or if none of the chosen targets has any of them."""
    usable = {
        arch.name: [abi.name for abi in arch.abis if abi.can_use_kvm] for arch in ARCHITECTURES.values()
    }
    known = sorted({NATIVE, *(name for found in usable.values() for name in found)})
    for name in asked:
        try:
            option_values.one_of(known, name)
        except UsageError as error:
            raise UsageError(f"--abi {error}") from None
    if asked and not any(resolve_abi(row.arch, name) in usable[row.arch] for row in chosen for name in asked):
        targets = ", ".join(row.id for row in chosen)
        raise UsageError(f"--abi {' '.join(asked)}: none of the selected targets has it: {targets}")
