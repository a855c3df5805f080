"""Guests that start while tests are still collected, if it is certain that tests will ask them, or likely.

Collecting takes a third of a second, in which one core or more would have nothing to do. It is likely for those
that the last session with the same selection asked. If this session asks none of them after all, because a module of
the suites cannot be imported, they are ended, and nothing of them is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sysevent.cache import Cache
from sysevent.checkout import SUITES
from sysevent.engine.scheduler import at_a_time
from sysevent.errors import UsageError
from sysevent.plugin import options
from sysevent.plugin.case import place
from sysevent.plugin.options import TARGETS
from sysevent.plugin.run import RUN, Run
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
# Options with which equal sessions run different tests, or one guest at a time.
_UNEQUAL = ("lf", "stepwise", "gdb")


class _Asked(msgspec.Struct, frozen=True):
    """What a session asked, a file in the cache: the ids of targets."""

    targets: tuple[str, ...]


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Start preparing the guests of the session."""
    config = session.config
    specs = certain(config) or likely(config)
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
    """End guests that nothing has asked, and remember those that were asked."""
    config = session.config
    run = taken(config)
    if run is not None:
        run.discard()
    if RUN in config.stash and _has_equals(config) and not certain(config):
        _remember(config)


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
    if _given(config, *_NARROWING, *_NOTHING_RUNS) or hasattr(config, "workerinput"):
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


def likely(config: pytest.Config) -> list[TargetSpec]:
    """The guests that the last session with the same selection asked."""
    if not _has_equals(config):
        return []
    cache, note = _note(config)
    known = cache.read(note, _Asked) or _Asked(())
    return [spec for spec in config.stash[TARGETS] if spec.booted and spec.id in known.targets]


def _remember(config: pytest.Config) -> None:
    """Keep which guests were asked, for likely()."""
    recorded = config.stash[RUN].recorded
    asked = _Asked(tuple(spec.id for spec in config.stash[TARGETS] if spec.booted and spec.id in recorded))
    cache, note = _note(config)
    if cache.read(note, _Asked) != asked:
        cache.record(note, asked)


def _has_equals(config: pytest.Config) -> bool:
    """Whether the next session with the same selection will run the same tests in its process."""
    return not hasattr(config, "workerinput") and not _given(config, *_UNEQUAL, *_NOTHING_RUNS)


def _given(config: pytest.Config, *names: str) -> bool:
    """Whether one of these options is given, by its name in pytest's namespace."""
    return any(config.getoption(name, None) for name in names)


def _note(config: pytest.Config) -> tuple[Cache, Path]:
    """Where it is remembered what a session asked that selects the same tests of the same kernels."""
    cache = Cache(options.of(config).cache)
    narrowed = (f"{name}={config.getoption(name, None)}" for name in _NARROWING)
    kernels = (f"{spec.id} {spec.kernel}" for spec in config.stash[TARGETS])
    return cache, cache.ahead(("asked", *config.args, *narrowed, *kernels))
