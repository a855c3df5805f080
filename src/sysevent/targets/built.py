"""The kernels that `sysevent run --build` has built, on their way to the targets of the pytest that it starts.

They pass through the environment, so that workers of pytest-xdist have them as well. pytest builds nothing itself: a
kernel that was built before, from a tree that has changed since, must not be asked in the tree's name.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

import msgspec

from sysevent.errors import UsageError
from sysevent.targets.spec import TargetSpec, with_own_configuration

# JSON: output directories of make, by architecture.
_VARIABLE = "SYSEVENT_BUILT"


def hand_over(outputs: Mapping[str, Path], environment: MutableMapping[str, str]) -> None:
    """Store the output directory of each architecture that was built in the environment of pytest."""
    found = {arch: str(output) for arch, output in outputs.items()}
    environment[_VARIABLE] = msgspec.json.encode(found).decode()


def on_targets(specs: Sequence[TargetSpec], environment: Mapping[str, str]) -> list[TargetSpec]:
    """Return the targets of the architectures that were built, each guest with the kernel of its architecture.

    UsageError if hand_over() was not called, because pytest was started by hand.
    """
    if _VARIABLE not in environment:
        raise UsageError(
            "--build is an option of `sysevent run`, which builds the kernel before it starts pytest"
        )
    outputs = msgspec.json.decode(environment[_VARIABLE], type=dict[str, str])
    return [
        _booting(spec, outputs[spec.arch]) if spec.booted else spec for spec in specs if spec.arch in outputs
    ]


def _booting(spec: TargetSpec, output: str) -> TargetSpec:
    return with_own_configuration(msgspec.structs.replace(spec, kernel=f"tree:{output}"))
