"""Targets whose hosts are fakes."""

from dataclasses import dataclass, field

import msgspec
import pytest
from fakes import CONTROL, Counter, FakeOpener, payload, scenario

from sysevent import settings
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.engine.loop import Loop
from sysevent.targets.spec import TargetSpec


@dataclass
class World:
    """What askers are made of, and what they reported."""

    settings: settings.Settings
    counter: Counter = field(default_factory=Counter)
    loop: Loop = field(default_factory=Loop)
    told: list = field(default_factory=list)
    incidents: list = field(default_factory=list)
    observations: list = field(default_factory=list)

    def opener(self, name="x", **options):
        return FakeOpener(name, self.counter, **options)

    def asker(self, opener, *, facts=("x86_64.facts",), options=None, **row):
        """The asker of a target like this row; options are those of Asker and foresee()."""
        options = dict(options or {})
        foreseen = {name: options.pop(name) for name in ("plan", "complete", "weight") if name in options}
        spec = TargetSpec(**{"name": opener.name, "arch": "x86_64", "where": "tcg"} | row)
        listeners = Listeners(
            self.told.append,
            self.incidents.append,
            lambda target, seen: self.observations.append((target, seen.scenario, seen.abi)),
        )
        made = Asker(
            spec,
            opener,
            self.settings,
            self.settings.cache / "logs",
            listeners,
            **{
                "facts": [scenario(name) for name in facts],
                "loop": self.loop,
                "payload": payload,
                "control": CONTROL,
            }
            | options,
        )
        if foreseen:
            made.foresee(**{"plan": lambda _: ()} | foreseen)
        return made

    @property
    def logs(self):
        return self.settings.cache / "logs"

    @property
    def reasons(self):
        return [(incident.reason, incident.retried) for incident in self.incidents]


@pytest.fixture
def world(tmp_path):
    return World(msgspec.structs.replace(settings.from_environment(), cache=tmp_path, snapshots=False))
