"""The guest of each target, which its tests share: started and recorded before the first, ended after the last.

Not a fixture: pytest would end it before a test of another target, and obtain it again for each test.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from sysevent.engine.asker import Asker
from sysevent.errors import NotApplicable, SyseventError, WrongArchitecture
from sysevent.hosts.openers import obstacle
from sysevent.plugin import order
from sysevent.plugin.case import place_of
from sysevent.plugin.run import RUN, Run
from sysevent.remembered import remembered
from sysevent.targets.spec import TargetSpec

# By the target's id. An error stays: nothing is waited for twice.
_ASKED = pytest.StashKey[dict[str, Asker | SyseventError]]()
# Ids of the targets that fixtures have.
_HELD = pytest.StashKey[set[str]]()


def asked(run: Run, spec: TargetSpec) -> Asker:
    """The guest of a target, started, with its facts read and recorded. NotApplicable if it cannot be had here.

    Any error is raised again by each later call.
    """
    known = run.config.stash.setdefault(_ASKED, {})
    return remembered(known, spec.id, lambda: _begun(run, spec))


def _begun(run: Run, spec: TargetSpec) -> Asker:
    lacks = obstacle(spec, run.config.getoption("kernel"))
    if lacks:
        raise NotApplicable(lacks)
    guest = run.guest(spec)
    try:
        facts = guest.facts()
        run.check(spec)
        run.record_target(guest, facts)
    except BaseException as error:
        # Another guest waits for its slot.
        run.done(guest)
        if isinstance(error, WrongArchitecture):
            raise NotApplicable(str(error)) from error
        raise
    return guest


@contextlib.contextmanager
def held(run: Run, spec: TargetSpec) -> Iterator[None]:
    """Let the guest of a target run on: fixtures that have it end later than its last test."""
    targets = run.config.stash.setdefault(_HELD, set())
    targets.add(spec.id)
    try:
        yield
    finally:
        targets.discard(spec.id)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the guests of other targets to which no test returns."""
    stash, here = item.config.stash, place_of(item)
    if not here or _ASKED not in stash:
        return
    needed = {here, *stash.get(_HELD, ())}
    for target in [name for name in stash[_ASKED] if name not in needed]:
        if not order.returns_to(item.config, target):
            _end(item.config, target)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the others, after the fixtures that have them; before summary.py, which comes later among these parts."""
    known = session.config.stash.get(_ASKED, None)
    for target in list(known or ()):
        _end(session.config, target)


def _end(config: pytest.Config, target: str) -> None:
    found = config.stash[_ASKED].pop(target)
    if isinstance(found, Asker):
        config.stash[RUN].done(found)
