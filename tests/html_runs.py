"""Runs for tests of HTML pages: recorded exits, judged so that some fail; hostile ones; and runs of any size."""

import functools

from hostile_values import HOSTILE
from sample_records import RUN, TARGET, verdict

from sysevent.checkout import ROOT
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.terms import Terms
from sysevent.decode.event import decode
from sysevent.model import Status
from sysevent.report import records, run_log

RECORDINGS = ROOT / "tests" / "data" / "runs"
# What a guest would write to take over a page, beside what acts on a terminal.
MARKUP = (
    "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    "<!--\u2028\u2029{{ 7 * 7 }} ]]> &lt; \"'" + HOSTILE
)


@functools.cache
def judged(name="debian-5.10", floor="5.18"):
    """Return the records of a run: the exits of a recording, and what each claim says of them.

    With a floor above its release, a kernel fails for what it lacks: these are the planted failures.
    """
    terms = Terms.of(floor, strict_observed=False)
    recorded = tuple(run_log.read(RECORDINGS / f"{name}.jsonl"))
    facts = {one.name: one.facts() for one in recorded if isinstance(one, records.Target)}
    argv = ("pytest", "--kernel=debian:5.10", f"--floor={floor}", "-k", "psci")
    found = [
        records.Run(schema=1, id="1-1", start="2026-01-02T03:04:05+00:00", argv=argv, versions={}),
        *recorded,
    ]
    for one in recorded:
        if isinstance(one, records.Observation):
            found += _verdicts(one, facts[one.target], terms)
    counts = {status: sum(getattr(one, "status", None) is status for one in found) for status in Status}
    return (*found, records.End(counts=counts, exit=1))


def _verdicts(one, facts, terms):
    seen = one.seen()
    for claim in catalogue.load().exits:
        fits = claim.asks.name == one.scenario and claim.abi in ("", one.abi)
        if not fits or not claim.applies(facts, terms):
            continue
        try:
            judgement = claim.judge(ExitEvidence(facts, seen, terms))
        except KeyError:
            # The recording is older than a label of the scenario.
            continue
        yield records.Verdict(
            test=judgement.test,
            target=one.target,
            kernel=facts.release,
            abi=one.abi,
            native=one.abi == one.arch,
            status=judgement.status,
            level=judgement.level,
            reason=judgement.reason,
            expected={wrong.what: wrong.expected for wrong in judgement.mismatches},
            got={wrong.what: wrong.got for wrong in judgement.mismatches},
            raw={label: left.head for label, left in one.exits.items()},
            written={label: decode(left, one.arch).written for label, left in seen.exits.items()},
            nodeid=f"suites/{claim.title.split('.')[0]}/test_a.py::test[{one.target}-{claim.title}]",
            seconds=0.25,
            dimensions=claim.dimensions,
            confirmed=2 if judgement.status is Status.FAIL else 0,
        )


def sized(claims, targets, failing=100):
    """Return the records of a run with a verdict on each claim on each target; one of so many fails."""
    found = [RUN]
    for number in range(targets):
        name = f"arm64-{number}"
        found.append(records.Target(**{**_fields(TARGET), "name": name}))
        for claim in range(claims):
            found.append(
                verdict(
                    f"kvm.system_event.arm64.family{claim // 25}.{claim}",
                    name,
                    "PASS" if (claim * 31 + number) % failing else "FAIL",
                )
            )
    return found


def _fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}
