"""JUnit XML, read by junitparser, and by Python's XML parser."""

import re
from xml.etree import ElementTree

import pytest
from sample_runs import RUNS, A

from sysevent.report import junit
from sysevent.report.matrix import last_verdicts
from sysevent.report.suites import unfinished


def parsed(name):
    pytest.importorskip("junitparser", reason="junitparser is not installed: pip install --group dev")
    from junitparser import JUnitXml

    return JUnitXml.fromstring(junit.render(RUNS[name]).encode())


@pytest.mark.parametrize("name", RUNS)
def test_another_parser_finds_every_claim(name):
    """In a suite for each target and ABI, with the numbers that it counts itself."""
    found = parsed(name)
    numbers = [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in found]
    for suite in found:
        suite.update_statistics()
    assert numbers == [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in found]
    assert sum(suite.tests for suite in found) == len(last_verdicts(RUNS[name])) + len(unfinished(RUNS[name]))
    assert (found.tests, found.failures) == (
        sum(one[0] for one in numbers),
        sum(one[1] for one in numbers),
    )


# What the schema of Jenkins, of which pytest's documentation has a part, permits in each element: others, attributes.
# Properties of a case are ours: pytest writes such properties as well.
PERMITTED = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase"},
        {"name", "time", "timestamp", "tests", "failures", "errors", "skipped"},
    ),
    "properties": ({"property"}, set()),
    "property": (set(), {"name", "value"}),
    "testcase": (
        {"properties", "failure", "error", "skipped", "system-out"},
        {"name", "classname", "time"},
    ),
    **dict.fromkeys(("failure", "error", "skipped"), (set(), {"type", "message"})),
    "system-out": (set(), set()),
}


@pytest.mark.parametrize("name", RUNS)
def test_elements_are_those_of_the_schema(name):
    top = ElementTree.fromstring(junit.render(RUNS[name]))
    assert top.tag == "testsuites"
    for element in top.iter():
        children, attributes = PERMITTED[element.tag]
        assert {child.tag for child in element} <= children
        assert element.attrib.keys() <= attributes
        assert (
            element.tag != "testcase" or len([child for child in element if child.tag != "properties"]) <= 1
        )
        if "time" in element.attrib:
            # Of a suite the schema permits three digits behind the point, and no exponent.
            assert re.fullmatch(r"[0-9]+\.[0-9]{3}", element.get("time"))


def cases(name):
    """The elements of the cases of a run, by name."""
    return {
        case.get("name"): case for case in ElementTree.fromstring(junit.render(RUNS[name])).iter("testcase")
    }


@pytest.mark.parametrize(
    ("status", "element", "kind"),
    [
        ("fail", "failure", "FAIL"),
        ("error", "error", "ERROR"),
        ("miss", "error", "MISS"),
        ("skip", "skipped", "SKIP"),
    ],
)
def test_statuses(status, element, kind):
    """ERROR and MISS are apart from FAIL, and from each other."""
    case = cases("failing")[f"{A}.{status}"]
    (found,) = [child for child in case if child.tag != "properties"]
    assert (found.tag, found.get("type"), found.get("message")) == (element, kind, f"{kind}: why")


def test_pass_and_done():
    assert [child.tag for child in cases("failing")[f"{A}.pass"]] == ["properties"]
    assert [child.tag for child in cases("failing")[f"{A}.done"]] == ["properties", "system-out"]


def test_properties():
    """On the suite, and on each case with its own."""
    suite = next(ElementTree.fromstring(junit.render(RUNS["failing"])).iter("testsuite"))
    values = {one.get("name"): one.get("value") for one in suite.find("properties")}
    assert values == {
        "target": "arm64-tcg",
        "kernel": "6.1.0",
        "kernel_spec": "debian:6.1",
        "package": "6.1.1-1",
        "arch": "arm64",
        "build_id": "ab" * 20,
        "module_build_ids": f"kvm={'cd' * 20}",
        "identity": "proven",
        "where": "tcg",
        "origin": "boot",
        "qemu": "7.2.22",
        "vmm_build_id": "1234",
        "vmm_abi": "arm64",
    }
    of_case = {one.get("name"): one.get("value") for one in cases("failing")[f"{A}.fail"].find("properties")}
    assert of_case == values | {
        "status": "FAIL",
        "level": "abi",
        "nodeid": "suites/test_a.py::test[arm64-tcg]",
    }


def test_classes():
    """A class for each column; a dot in its name would make packages of it."""
    names = [case.get("classname") for case in cases("merged").values()]
    assert set(names) <= {"sysevent.arm64-tcg_debian_6_1", "sysevent.arm64-tcg_debian_6_12", "sysevent.runs"}


def test_a_killed_run():
    """It has a case of its own, so that no CI system shows it as passed."""
    case = cases("killed")["run 1"]
    assert case.find("error").get("message").startswith("MISS: it has no end")
    assert "run 1" not in cases("passing")


def test_what_the_kernel_wrote():
    text = cases("failing")[f"{A}.fail"].find("failure").text
    assert text.splitlines() == [
        "why",
        "type: got 2, expected 1",
        f"kvm_run at exit, written: 32-35: {'00' * 64}",
    ]
