"""Guests that start while tests are still collected, if it is certain that tests will ask them.

Collecting takes a third of a second, in which one core or more would have nothing to do. If the session then asks none
of them after all, because a module of the suites cannot be imported, they are ended, and nothing of them is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sysevent.checkout import SUITES
from sysevent.engine.scheduler import at_a_time
from sysevent.errors import UsageError
from sysevent.plugin.case import place
from sysevent.plugin.options import TARGETS
from sysevent.plugin.run import Run
from sysevent.plugin.selection import abis
from sysevent.targets.spec import TargetSpec

_EARLY = pytest.StashKey[Run]()
# Options that may leave no test of a target, by their names in pytest's namespace.
_NARROWING = (
    "keyword",
    "markexpr",
    "deselect",
    "lf",
    "stepwise",
    "ignore",
    "ignore_glob",
    "abi",
    "vmm",
    "gdb",
)
# Options with which no test runs in this process.
_NOTHING_RUNS = ("collectonly", "setuponly", "setupplan", "numprocesses")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Start preparing the guests of the session."""
    config = session.config
    specs = certain(config)
    # In a group of more targets than run at a time, those come first whose tests do, which are not known yet.
    if 0 < len(specs) <= at_a_time():
        # Who asks the first question raises the same error once more.
        with contextlib.suppress(UsageError, pytest.UsageError, OSError):
            config.stash[_EARLY] = Run(config, specs)
    return (yield)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Start each guest whose files are prepared by now."""
    if _EARLY in collector.config.stash:
        collector.config.stash[_EARLY].start_prepared()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End guests that nothing has asked."""
    run = taken(session.config)
    if run is not None:
        run.discard()


def taken(config: pytest.Config) -> Run | None:
    """The run whose guests were started early, once; None if there is none, or it was taken before."""
    run = config.stash.get(_EARLY, None)
    if run is not None:
        del config.stash[_EARLY]
    return run


def certain(config: pytest.Config) -> list[TargetSpec]:
    """The guests that tests of this session will ask, whatever is collected.

    They are all that were selected, if all of the suites are asked for, and those in the ids of tests.
    """
    given = {name: config.getoption(name, None) for name in (*_NARROWING, *_NOTHING_RUNS)}
    if any(given.values()) or hasattr(config, "workerinput"):
        return []
    chosen = config.stash[TARGETS]
    found: dict[str, TargetSpec] = {}
    for word in config.args:
        file, _, rest = word.partition("::")
        path = config.invocation_params.dir / file
        if not rest and path.resolve() == SUITES:
            found |= {spec.id: spec for spec in chosen}
        elif rest and Path(path).is_file() and (named := place(word, chosen)[0]):
            found[named.id] = named
    # Those with most tests first: their guests work longest.
    return sorted((spec for spec in found.values() if spec.booted), key=lambda spec: -len(abis(spec, [])))
