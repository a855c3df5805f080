"""What the facts scenario of each architecture tells: capabilities, and what the guest's firmware offers."""

from __future__ import annotations

from sysevent.decode.event import decode
from sysevent.model import Facts, Observation
from sysevent.wire import Hello

_EXIT_MMIO = 6


def facts(observation: Observation, hello: Hello) -> Facts:
    """The facts of a target. A question that did not come back is left out: then the kernel does not offer it,
    and a claim that needs it decides whether it must."""
    capabilities = {
        label: answer.ret
        for label, answer in observation.answers.items()
        if label.startswith(("system/", "vm/"))
    }
    features: dict[str, int] = {}
    for label, raw in observation.exits.items():
        event = decode(raw, observation.arch)
        if raw.ret == 0 and event.exit_reason == _EXIT_MMIO and event.registers:
            features[label] = event.registers["x0"]
    return Facts(observation.arch, hello.release, capabilities, features, hello.build_id)
