"""The facts from an architecture's facts scenarios: capabilities, and features that no capability announces."""

from __future__ import annotations

from collections.abc import Sequence

from sysevent.abi.debug import HSR_HIGH_VALID
from sysevent.abi.exits import ExitReason
from sysevent.decode.event import Event, decode
from sysevent.model import Facts, Observation
from sysevent.scenario.ioctls import ONE_REG_VALUE
from sysevent.wire import Hello


def facts(seen: Sequence[Observation], hello: Hello) -> Facts:
    """The facts of a target, from its facts scenarios.

    A question that did not come back is left out: then the kernel does not offer the feature, and a claim
    that needs it decides whether the kernel must.
    """
    capabilities: dict[str, int] = {}
    features: dict[str, int] = {}
    for observation in seen:
        for label, answer in observation.answers.items():
            if label.startswith(("system/", "vm/")):
                capabilities[label] = answer.ret
            elif answer.ret == 0:
                features[label] = int.from_bytes(answer.data[ONE_REG_VALUE : ONE_REG_VALUE + 8], "little")
        for label, raw in observation.exits.items():
            if raw.ret == 0:
                value = _feature(label, decode(raw, observation.arch))
                if value is not None:
                    features[label] = value
    return Facts(seen[0].arch, hello.release, capabilities, features, hello.build_id)


def _feature(label: str, exit_: Event) -> int | None:
    """The value of the feature that an exit was provoked for; None if the kernel lacks it."""
    if label == "hyperv.gated":
        # The #GP of a guest without an IDT is a triple fault.
        return 0 if exit_.exit_reason == ExitReason.SHUTDOWN else None
    if label == "debug":
        valid = exit_.field("run.flags") & HSR_HIGH_VALID
        return 0 if exit_.exit_reason == ExitReason.DEBUG and valid else None
    if exit_.exit_reason != ExitReason.MMIO or not exit_.registers:
        return None
    if label.startswith("sbi.probe."):
        # SBI's probe_extension: error in a0, and in a1 whether it is there.
        return 0 if exit_.registers["a0"] == 0 and exit_.registers["a1"] else None
    if label == "exit":
        return None
    return exit_.registers.get("x0")
