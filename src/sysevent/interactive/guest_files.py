"""The files in /sysevent of a guest with a shell."""

from __future__ import annotations

from sysevent import wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.contract import catalogue
from sysevent.scenario import request
from sysevent.scenario.facts import FACTS
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_ASK = """#!/bin/sh
# Print the VMM's answer to a scenario: frames as in guests/vmm/wire.h, of which the second holds the exits.
name=$1
[ -e "/sysevent/scenarios/$name" ] || name=ARCH.$1
if [ ! -f "/sysevent/scenarios/$name" ]; then
    echo "usage: ask NAME, which is a file in /sysevent/scenarios" >&2
    exit 2
fi
vmm serve WORKERS <"/sysevent/scenarios/$name" | xxd
"""


def files(target: TargetSpec, settings: Settings) -> dict[str, bytes]:
    """The content of each file by its path below /sysevent: the VMM, a script to ask it, and every scenario.

    A scenario is stored as the frames that are written to the VMM.
    """
    arch = ARCHITECTURES[target.arch]
    native = arch.abis[0]
    found: dict[str, bytes] = {}
    for abi in arch.abis:
        found[f"vmm.{abi.number}"] = programs.vmm(arch, abi, settings).content
    found["vmm"] = found[f"vmm.{native.number}"]
    workers = " ".join(f"{abi.number}:/sysevent/vmm.{abi.number}" for abi in arch.abis)
    found["ask"] = _ASK.replace("WORKERS", workers).replace("ARCH", arch.name).encode()
    payloads: dict[str, programs.Payload] = {}
    scenarios = {scenario.name: scenario for scenario in FACTS[arch.name]} | catalogue.load().scenarios
    for name, scenario in scenarios.items():
        if scenario.arch != arch.name:
            continue
        for payload in scenario.payloads:
            if payload not in payloads:
                payloads[payload] = programs.payload(arch, payload, settings)
        body, _ = request.encode(scenario, {name: payloads[name] for name in scenario.payloads})
        asked = wire.Frame(wire.Kind.REQUEST, native.number, 1, body)
        found[f"scenarios/{name}"] = wire.pack(asked) + wire.pack(wire.Frame(wire.Kind.BYE, 0, 0, b""))
    return found
