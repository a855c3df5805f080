"""A run as JUnit XML, for GitLab, Jenkins and others. No I/O.

There is no standard. This is what pytest writes and what the JUnit plugin of Jenkins documents: suites of test cases,
with `failure`, `error` or `skipped` in a case. Properties of a case are newer than the schema of Jenkins's xUnit
plugin; Jenkins and GitLab read them or leave them out.

FAIL is a `failure`. ERROR and MISS are an `error` of that type: they are about the test and the machine. They are not
`skipped`, which every CI system counts as harmless. DONE is a case that passed, with its reason in `system-out`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from sysevent.model import Status
from sysevent.report import records
from sysevent.report.records import Record
from sysevent.report.suites import Suite, details, facts, headline, safe_name, suites, unfinished
from sysevent.text import escape_line

_ELEMENTS = {
    Status.FAIL: "failure",
    Status.ERROR: "error",
    Status.MISS: "error",
    Status.SKIP: "skipped",
    Status.DONE: "system-out",
}
_COUNTED = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


def render(run: Sequence[Record]) -> str:
    """Return the XML: a suite for each target and ABI, a case for each claim."""
    top = Element("testsuites", name="sysevent")
    first = next((record for record in run if isinstance(record, records.Run)), None)
    for suite in suites(run):
        element = _suite(top, suite.name, suite.seconds)
        if first and first.start:
            element.set("timestamp", escape_line(first.start))
        known = facts(suite)
        _properties(element, known)
        for verdict in suite.verdicts:
            _case(element, suite, verdict, known)
    if incomplete := unfinished(run):
        element = _suite(top, "sysevent", 0.0)
        for name, why in incomplete.items():
            case = SubElement(element, "testcase", name=name, classname="sysevent.runs", time="0.000")
            _outcome(case, Status.MISS, why, [why])
    for element in [*top, top]:
        for attribute, tag in _COUNTED.items():
            # The schema has no such number for all suites.
            if element is not top or attribute != "skipped":
                element.set(attribute, str(sum(1 for _ in element.iter(tag))))
    ElementTree.indent(top)
    text = ElementTree.tostring(top, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(top: Element, name: str, seconds: float) -> Element:
    return SubElement(top, "testsuite", name=escape_line(name), time=f"{seconds:.3f}")


def _case(element: Element, suite: Suite, verdict: records.Verdict, known: Mapping[str, str]) -> None:
    case = SubElement(
        element,
        "testcase",
        name=escape_line(verdict.test),
        # A dot would make a package of what is in front of it.
        classname=f"sysevent.{safe_name(suite.name).replace('.', '_')}",
        time=f"{verdict.seconds:.3f}",
    )
    own = {
        "status": verdict.status.value,
        "level": verdict.level.value,
        "confirmed": str(verdict.confirmed or ""),
        "erratum": escape_line(verdict.erratum),
        "nodeid": escape_line(verdict.nodeid),
        **{escape_line(name): escape_line(value) for name, value in verdict.dimensions.items()},
    }
    _properties(case, {**own, **known})
    _outcome(case, verdict.status, headline(verdict), details(verdict))


def _outcome(case: Element, status: Status, message: str, text: Iterable[str]) -> None:
    """Add the element of a status; PASS has none."""
    if status not in _ELEMENTS:
        return
    element = SubElement(case, _ELEMENTS[status])
    if status is not Status.DONE:
        element.set("type", status.value)
        element.set("message", f"{status}: {message}")
    element.text = "\n".join(text)


def _properties(element: Element, values: Mapping[str, str]) -> None:
    properties = SubElement(element, "properties")
    for name, value in values.items():
        if value:
            SubElement(properties, "property", name=name, value=value)
