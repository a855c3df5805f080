"""A target that is being asked: booted, its facts read, each scenario run once and remembered."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from sysevent.abi import names
from sysevent.arches import ARCHITECTURES, Abi
from sysevent.build import programs
from sysevent.engine.facts import facts
from sysevent.engine.life import Life
from sysevent.errors import (
    BadWire,
    BuildFailed,
    GuestLost,
    HarnessError,
    NotApplicable,
    SyseventError,
    UsageError,
    VcpuStuck,
)
from sysevent.hosts.base import Host
from sysevent.model import Facts, Incident, KernelImage, Observation, Progress
from sysevent.scenario import request
from sysevent.scenario.facts import BUILD, FACTS
from sysevent.scenario.steps import File, Scenario
from sysevent.settings import Settings
from sysevent.targets.spec import TargetSpec

_PIECE = 960 << 10  # bytes of a file that come in one reply (wire.BODY_MAX is 1 MiB)
_FILE_MAX = 64 << 20  # the largest BTF seen has 8 MB
_SLOW = 5.0  # how much longer than the VMM's own deadline a reply may take under TCG on a loaded machine

_Key = tuple[str, str]  # a scenario's name, and the name of an ABI


class _Asked(msgspec.Struct, frozen=True):
    """One scenario on its way."""

    key: _Key
    scenario: Scenario
    payloads: dict[str, programs.Payload]
    abi: Abi
    number: int  # of the request
    deadline: float  # seconds from when the guest is free
    sent: float


class Guest:
    """One target with one kernel. Boots when it is first asked, and again when it was lost."""

    def __init__(
        self,
        spec: TargetSpec,
        settings: Settings,
        logs: Path,
        progress: Progress,
        on_incident: Callable[[Incident], None],
        on_observation: Callable[[str, Observation], None],
        modules: Path | None = None,
    ) -> None:
        self.spec = spec
        self.arch = ARCHITECTURES[spec.arch]
        self.life = Life(spec, settings, logs, progress, on_incident, modules)
        self._settings = settings
        self._on_observation = on_observation
        self._scenarios: dict[str, Scenario] = {}
        self._payloads: dict[str, programs.Payload] = {}
        self._observed: dict[_Key, Observation | SyseventError] = {}
        self._facts: Facts | None = None
        self._planned: deque[_Key] = deque()  # to be asked before anybody wants to know
        self._flight: deque[_Asked] = deque()  # sent, not answered yet
        self._since = 0.0  # when the host was last free
        self.seconds: dict[_Key, float] = {}  # that each scenario took
        self.foreseen = False  # set by who plans: that is all that will be asked, by what is known

    @property
    def ahead(self) -> int:
        """How many scenarios are planned and not sent yet."""
        return len(self._planned)

    @property
    def finished(self) -> bool:
        """Whether it has answered all that will be asked, as far as that was foreseen: it need not run on."""
        busy = self._planned or self._flight or (self.life.host is not None and self.life.host.awaited)
        return self.foreseen and self.life.hello is not None and not busy

    @property
    def kernel(self) -> KernelImage | None:
        """What it boots; fetched when it is first asked for. None when its kernel runs already."""
        return self.life.kernel()

    @property
    def seconds_to_boot(self) -> float:
        """From the start of QEMU until the VMM answered."""
        return self.life.seconds_to_boot

    def abi(self, name: str) -> Abi:
        """The row of a VMM ABI by its name, "native" being the architecture's first; UsageError when it has none."""
        for abi in self.arch.abis:
            if name in (abi.name, "native" if abi is self.arch.abis[0] else ""):
                return abi
        known = ", ".join(abi.name for abi in self.arch.abis)
        raise UsageError(f"--abi {name}: {self.spec.name} runs VMMs of {known}")

    def facts(self) -> Facts:
        """What the running kernel says of itself; remembered, as long as its observations are."""
        if self._facts is not None:
            return self._facts
        first, *others = FACTS[self.arch.name]
        native = self.arch.abis[0].name
        seen = [self.observe(first, native)]
        for scenario in others:
            with contextlib.suppress(HarnessError, VcpuStuck):
                seen.append(self.observe(scenario, native))
        assert self.life.hello is not None
        self._facts = facts(seen, self.life.hello)
        return self._facts

    def observe(self, scenario: Scenario, abi: str) -> Observation:
        """What a scenario gives with a VMM of an ABI; run once, then remembered, an error as well.

        GuestLost when the guest was lost in it twice: it is booted again and asked once more, since whatever
        lost it may not have been the scenario, and nothing was seen that a second try could hide.
        """
        key = (scenario.name, self.abi(abi).name)
        self._scenarios[scenario.name] = scenario
        if key not in self._observed:
            self._ask(key)
        found = self._observed[key]
        if isinstance(found, SyseventError):
            raise found
        return found

    def file(self, path: str) -> bytes:
        """A file of L1, whole; in pieces that fit into a reply, and in no record of the run.

        NotApplicable when it cannot be opened there.
        """
        data, size = b"", _PIECE
        while size == _PIECE:
            step = File(path, "file", len(data), _PIECE)
            piece = self._ask_twice(Scenario(f"file {path}", self.arch.name, (step,)), self.arch.abis[0])
            answer = piece.answers["file"]
            if answer.ret < 0:
                raise NotApplicable(f"{path} of {self.spec.id}: errno {names.errno(answer.errno)}")
            data += answer.data
            size = len(answer.data)
            if len(data) > _FILE_MAX:
                raise BadWire(f"{path} of {self.spec.id} has more than {_FILE_MAX} bytes")
        return data

    def plan(self, wanted: Iterable[tuple[Scenario, str]]) -> None:
        """Scenarios, with ABIs, that will be asked for: they are sent ahead as soon as the guest is ready."""
        for scenario, abi in wanted:
            key = (scenario.name, self.abi(abi).name)
            self._scenarios[scenario.name] = scenario
            if key not in self._observed and key not in self._planned:
                self._planned.append(key)

    def attend(self) -> None:
        """Get on without waiting: take in what the guest has said, and send it what is planned."""
        host = self.life.host
        if host is None or host.awaited:
            return
        host.listen()
        try:
            if self.life.hello is None:
                if not host.greeted:
                    return
                self.life.greet()
            while self._flight and host.answered(self._flight[0].number):
                self._land(self._flight.popleft())
            self._send_ahead(host)
        except SyseventError:
            # Told when somebody wants to know something that is not known: see _ask().
            self._planned.clear()
            self.foreseen = False

    def stream(self, scenarios: Iterable[Scenario], abi: str) -> Iterator[Observation]:
        """What many scenarios give, in order, several on their way at a time, none of them remembered.

        Any error ends it: GuestLost, and what decode() raises.
        """
        host, row = self.life.running(), self.abi(abi)
        flight: deque[tuple[_Asked, Scenario]] = deque()
        for scenario in scenarios:
            flight.append((self._send(host, ("", ""), scenario, row), scenario))
            if len(flight) >= host.room:
                yield self._decoded(host, flight.popleft()[0])
        while flight:
            yield self._decoded(host, flight.popleft()[0])

    def _ask(self, key: _Key) -> None:
        """Find out what a scenario gives, or what stands against it, and remember that."""
        name, abi = key
        begin = time.monotonic()
        try:
            if key in self._planned:
                self._planned.remove(key)
            asked = next((a for a in self._flight if a.key == key), None)
            if asked is None:
                self._remember(key, self._ask_twice(self._scenarios[name], self.abi(abi), key), begin)
                return
            try:
                while self._flight and key not in self._observed:
                    self._land(self._flight.popleft())
                    self.attend()
            except GuestLost as error:
                # Whoever was in flight has been lost with it; each is asked again when it is wanted.
                self._flight.clear()
                self._planned.clear()
                self.life.lost(error, retried=not self.life.hopeless)
                if self.life.hopeless:
                    raise
                self._remember(key, self._ask_twice(self._scenarios[name], self.abi(abi), key), begin)
        except SyseventError as error:
            self._observed[key] = error
            self.seconds[key] = time.monotonic() - begin

    def _land(self, asked: _Asked) -> None:
        """Take the oldest answer in flight; GuestLost when it does not come."""
        assert self.life.host is not None
        begin = max(self._since, asked.sent)
        try:
            seen = self._decoded(self.life.host, asked)
        except GuestLost:
            raise
        except SyseventError as error:
            self._observed[asked.key] = error
            self._since = time.monotonic()
            self.seconds[asked.key] = self._since - begin
        else:
            self._remember(asked.key, seen, begin)

    def _remember(self, key: _Key, seen: Observation, begin: float) -> None:
        self._observed[key] = seen
        self._since = time.monotonic()
        self.seconds[key] = self._since - begin
        if key[0] != BUILD[self.arch.name].name:
            self._on_observation(self.spec.id, seen)

    def _send_ahead(self, host: Host) -> None:
        while self._planned and len(self._flight) < host.room:
            key = self._planned.popleft()
            try:
                self._flight.append(self._send(host, key, self._scenarios[key[0]], self.abi(key[1])))
            except (BuildFailed, HarnessError) as error:
                self._observed[key] = error

    def _send(self, host: Host, key: _Key, scenario: Scenario, abi: Abi) -> _Asked:
        payloads = {name: self._payload(name) for name in scenario.payloads}
        body, deadline = request.encode(scenario, payloads)
        number = host.send(body, abi.number)
        return _Asked(key, scenario, payloads, abi, number, deadline / 1000 * _SLOW, time.monotonic())

    def _decoded(self, host: Host, asked: _Asked) -> Observation:
        reply = host.reply(asked.number, asked.deadline)
        return request.decode(asked.scenario, asked.payloads, asked.abi.name, reply)

    def _ask_twice(self, scenario: Scenario, abi: Abi, key: _Key = ("", "")) -> Observation:
        if scenario.arch != self.arch.name:
            raise NotApplicable(
                f"{scenario.name} is for {scenario.arch}; {self.spec.name} is {self.arch.name}"
            )
        host = self.life.running()
        try:
            return self._ask_once(host, scenario, abi, key)
        except GuestLost as error:
            self.life.lost(error, retried=not self.life.hopeless)
            if self.life.hopeless:
                raise
        host = self.life.running()
        try:
            return self._ask_once(host, scenario, abi, key)
        except GuestLost as again:
            self.life.lost(again, retried=False)
            raise

    def _ask_once(self, host: Host, scenario: Scenario, abi: Abi, key: _Key) -> Observation:
        try:
            before = len(self._flight)
            asked = self._send(host, key, scenario, abi)
            self._send_ahead(host)  # behind this one, which nobody has to wait for
            for _ in range(before):
                self._land(self._flight.popleft())
            return self._decoded(host, asked)
        except GuestLost:
            self._flight.clear()
            self._planned.clear()
            raise

    def _payload(self, name: str) -> programs.Payload:
        if name not in self._payloads:
            self._payloads[name] = programs.payload(self.arch, name, self._settings)
        return self._payloads[name]

    def close(self) -> None:
        """Power the guest off, if it runs."""
        self._flight.clear()
        self.life.close()
