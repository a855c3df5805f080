"""pytest-xdist: a target's tests stay together on one worker, and all workers write one log.

--dist loadgroup would do the first, but xdist 3.8 ignores it silently under pytest 9.2 (pytest-xdist#1386). The
hooks are optional: they are called only if xdist is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sysevent.contract.claim import PREFIX
from sysevent.model import Level, Status
from sysevent.plugin import results
from sysevent.plugin.case import STATUS, place
from sysevent.plugin.options import TARGETS
from sysevent.plugin.outcome import again, what_next
from sysevent.plugin.run import RUN, Run
from sysevent.report import records, run_log

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import WorkerController

# The directory that the workers write to.
_RESULTS = pytest.StashKey[Path]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Distribute tests by target, so that each guest boots once, and by file where there is no target."""
    from xdist.scheduler import LoadScopeScheduling

    class ByTarget(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no type stubs
        def _split_scope(self, nodeid: str) -> str:
            target, _ = place(nodeid, config.stash[TARGETS])
            return target.id if target else nodeid.partition("::")[0]

        def remove_node(self, node: WorkerController) -> str | None:
            # xdist 3.8 would give the test in which a worker died to the next worker, until none is left.
            crashed: str | None = super().remove_node(node)
            for unit in self.workqueue.values():
                if crashed in unit:
                    unit[crashed] = True
            return crashed

        def _reschedule(self, node: WorkerController) -> None:
            # A worker that has just replaced another one has not collected yet, and cannot be given work.
            if node in self.registered_collections:
                super()._reschedule(node)

    return ByTarget(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker, before it starts, where its results go."""
    if _RESULTS not in node.config.stash:
        node.config.stash[_RESULTS] = results.planned(node.config)
    results.hand_over(node.workerinput, node.config.stash[_RESULTS])


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """Record a MISS for the claim of the test in which a worker died; the verdicts of other tests are kept."""
    config: pytest.Config = sched.config
    target, behind = place(crashitem, config.stash[TARGETS])
    report.user_properties.append((STATUS, Status.MISS.value))
    if target is None or _RESULTS not in config.stash:
        return
    run = _adopted(config)
    command = again(config, crashitem, target.id, target.arch)
    text = what_next(run_log.logs_in(run.results, target.id), command)
    report.longrepr = f"{report.longreprtext}\n{text}"
    written = (record for record in run_log.read(run.log.path) if isinstance(record, records.Verdict))
    if any(verdict.nodeid == crashitem for verdict in written):
        # It died after its verdict was written.
        return
    abi, _, claim = behind.rpartition("-")
    run.log.write(
        records.Verdict(
            test=f"{PREFIX}.{target.arch}.{claim}",
            target=target.id,
            kernel="",
            abi=abi or target.arch,
            native=not abi,
            status=Status.MISS,
            level=Level.ABI,
            reason="the pytest-xdist worker that ran it has died",
            expected={},
            got={},
            raw={},
            written={},
            nodeid=crashitem,
            seconds=0.0,
        )
    )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take over the run of the workers, for the matrix and the exit code."""
    config = session.config
    if _RESULTS in config.stash and run_log.path_in(config.stash[_RESULTS]).exists():
        _adopted(config)


def _adopted(config: pytest.Config) -> Run:
    """The run of the workers, opened once."""
    if RUN not in config.stash:
        config.stash[RUN] = Run(config, (), config.stash[_RESULTS])
    return config.stash[RUN]
