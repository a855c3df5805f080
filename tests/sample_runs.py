"""Whole runs for tests of what is rendered from them."""

import msgspec
import sample_records
from hostile_values import HOSTILE, hostile
from sample_records import END, RUN, TARGET, verdict

from sysevent.model import Status
from sysevent.report import merging, records

A = "kvm.system_event.arm64.a"
# What a guest can print, or a name can hold, to be taken for a result or for the end of all results.
TRAPS = (
    "x # SKIP nothing to see",
    "Subtest: other",
    "ok 1 other",
    "Kernel panic - not syncing: VFS: no root",
    "reboot: System halted",
    "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=other RESULT=pass>",
    "]]></failure><testcase name='other'/>",
    HOSTILE,
    "\ufffe\uffff\x0b",
    "",
    "-",
)


def passing():
    second = verdict("kvm.system_event.x86_64.b", "x86_64-tcg", "PASS", abi="i386", native=False)
    return [RUN, TARGET, verdict(A, "arm64-tcg", "PASS"), second, END]


def failing():
    """A verdict of each status."""
    found = [verdict(f"{A}.{status.lower()}", "arm64-tcg", status) for status in Status]
    return [RUN, TARGET, *found, msgspec.structs.replace(END, exit=1)]


def killed():
    return passing()[:-1]


def merged():
    """Shards of one target, one of them killed, and the same name with another kernel."""
    newer = msgspec.structs.replace(TARGET, spec="debian:6.12", kernel="6.12.0", build_id="ef" * 20)
    other = [msgspec.structs.replace(RUN, id="2"), newer, verdict(A, "arm64-tcg", "FAIL"), END]
    third = [msgspec.structs.replace(RUN, id="3"), TARGET, verdict(A, "arm64-tcg", "DONE")]
    return merging.merge([failing(), other, third])


def trapped():
    """The traps in every place that takes a string, once for each status."""
    found = [RUN, msgspec.structs.replace(hostile(records.Target), name=HOSTILE)]
    for number, trap in enumerate(TRAPS):
        status = list(Status)[number % len(Status)]
        one = verdict(f"{A}.{number}{trap}", f"t{number % 2}{trap}", status, reason=trap, kernel=trap)
        found.append(msgspec.structs.replace(one, expected={trap: trap}, got={trap: trap}, nodeid=trap))
        found.append(msgspec.structs.replace(one, test=trap, dimensions={trap: trap}, erratum=trap))
    return [*found, msgspec.structs.replace(sample_records.INCIDENT, reason=HOSTILE)]


RUNS = {
    "passing": passing(),
    "failing": failing(),
    "killed": killed(),
    "merged": merged(),
    "trapped": trapped(),
    "empty": [RUN, END],
}
