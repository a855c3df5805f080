"""Whether every host of a target is the machine that its target file describes, and the same one after each loss."""

from __future__ import annotations

from collections.abc import Mapping

from sysevent.engine.kvm_mode import UNKNOWN
from sysevent.errors import WrongHost
from sysevent.hosts.traits import MODE, check_traits
from sysevent.targets.spec import TargetSpec
from sysevent.wire import Hello

# The traits that must not change when a lost machine answers again: see hosts/traits.py.
_SAME = ("kernel", "version", "machine", "node", "build_id", *MODE)


class SameMachine:
    """The traits of one target's hosts, compared with the target file and with those of the first host."""

    def __init__(self, spec: TargetSpec) -> None:
        self._spec = spec
        # Traits of the first host, as far as they are known.
        self._first: dict[str, str] = {}

    def forget(self) -> None:
        """Forget the first host: it was not the one that was given."""
        self._first = {}

    def check(self, traits: Mapping[str, str], hello: Hello, **more: str) -> None:
        """Check what a host reports, its VMM's HELLO included. more: traits that became known later.

        WrongHost if it does not match the target file, or is another machine than before.
        """
        found = {**traits, "kernel": hello.release, "machine": hello.machine, **more}
        check_traits(self._spec, found)
        now = {name: found[name] for name in _SAME if found.get(name, UNKNOWN) != UNKNOWN}
        self._first = now | self._first
        for name, value in now.items():
            if value != self._first[name]:
                raise WrongHost(
                    f"{self._spec.id}: {name} changed from {self._first[name]!r} to {value!r} after the connection was "
                    f"lost; boot {self._first[name]!r} and run again"
                )
