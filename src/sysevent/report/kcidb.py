"""A run as a report for KernelCI's database, in the schema 5.3 of kcidb-io. No I/O.

A checkout and a build for each kernel, and a test for each verdict: the statuses and their order are kcidb's own. All
verdicts of merged runs are in it, as tests of their runs: kcidb itself shows the worst one of a path. What the database
knows by other reports, such as the commit of a kernel that KernelCI has built, is not known here.

If kcidb-io is installed (`pip install 'sysevent[kcidb]'`), its schema checks every report.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from sysevent.errors import InfrastructureError
from sysevent.model import Status
from sysevent.report import records
from sysevent.report.merging import split
from sysevent.report.records import Record
from sysevent.report.suites import Suite, details, facts, headline, safe_name, suites, unfinished
from sysevent.text import escape_line

_VERSION = {"major": 5, "minor": 3}
# Characters of an excerpt: the schema's limit.
_EXCERPT = 16384
# The path of the test that a run has reached its end.
_COMPLETE = "sysevent.complete"
# Facts in the comment on an environment, with the word in front of each.
_SHOWN = (("qemu", "QEMU"), ("mode", "KVM"), ("vmm_abi", "VMM"))
# The facts of a suite by which builds differ.
_BUILD = ("arch", "kernel", "kernel_spec", "package", "build_id", "module_build_ids")


def render(run: Sequence[Record], kcidb_origin: str = "sysevent") -> str:
    """Return the report as JSON, ASCII only.

    InfrastructureError if kcidb-io is installed and refuses it.
    """
    found = _Report(kcidb_origin)
    for part in split(run):
        found.add(part)
    content = found.finished()
    _check(content)
    return json.dumps(content, indent=1) + "\n"


class _Report:
    """The report as far as it is made."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._content: dict[str, Any] = {"version": _VERSION, "checkouts": [], "builds": []}
        self._builds: set[str] = set()
        self._tests: dict[str, dict[str, Any]] = {}

    def add(self, run: Sequence[Record]) -> None:
        """Add the tests of a single run, and the kernels that it has asked."""
        first = next((record for record in run if isinstance(record, records.Run)), None)
        name = safe_name(first.id) if first else "unknown"
        common = _start(first)
        asked = suites(run)
        for suite in asked:
            build = self._build(suite)
            environment = _environment(suite)
            for verdict in suite.verdicts:
                self._test(
                    {
                        "id": f"{self.origin}:{name}-{_digest(verdict.test, verdict.target, verdict.abi)}",
                        "origin": self.origin,
                        "build_id": build,
                        **common,
                        **_test(verdict),
                        "environment": environment,
                    }
                )
        for why in unfinished(run).values():
            self._test(
                {
                    "id": f"{self.origin}:{name}-{_digest(_COMPLETE)}",
                    "origin": self.origin,
                    "build_id": self._build(asked[0] if asked else None),
                    "path": _COMPLETE,
                    "status": Status.MISS.value,
                    "comment": why,
                    **common,
                }
            )

    def _test(self, test: dict[str, Any]) -> None:
        """Add a test. Of two with one ID, as of a run and its copy, the worse one stays."""
        other = self._tests.get(test["id"])
        if other is None or Status(test["status"]).severity < Status(other["status"]).severity:
            self._tests[test["id"]] = test

    def finished(self) -> dict[str, Any]:
        """Return the report."""
        return {**self._content, "tests": list(self._tests.values())}

    def _build(self, suite: Suite | None) -> str:
        """The ID of the build that a suite has asked, which is added with its checkout; None: of an unknown one."""
        known = facts(suite) if suite else {}
        parts = {name: known[name] for name in _BUILD if name in known}
        name = f"{self.origin}:{_digest(*(f'{key}={value}' for key, value in parts.items()))}"
        if name in self._builds:
            return name
        self._builds.add(name)
        comment = f"Linux {known['kernel']}" if "kernel" in known else "a kernel that did not answer"
        more = ", ".join(parts[key] for key in ("kernel_spec", "package") if key in parts)
        text = f"{comment} ({more})" if more else comment
        self._content["checkouts"].append({"id": name, "origin": self.origin, "comment": text, "valid": True})
        self._content["builds"].append(
            {
                "id": name,
                "checkout_id": name,
                "origin": self.origin,
                "comment": text,
                "status": Status.PASS.value,
                "misc": parts,
                **({"architecture": parts["arch"]} if parts.get("arch", "").isidentifier() else {}),
            }
        )
        return name


def _environment(suite: Suite) -> dict[str, Any]:
    known = facts(suite)
    where = [escape_line(suite.name), *(f"{word} {known[key]}" for key, word in _SHOWN if key in known)]
    return {"comment": ", ".join(where), "misc": known}


def _test(verdict: records.Verdict) -> dict[str, Any]:
    text = "\n".join(details(verdict))
    return {
        "path": safe_name(verdict.test),
        "status": verdict.status.value,
        "comment": headline(verdict),
        "log_excerpt": text[:_EXCERPT],
        "duration": verdict.seconds,
        "misc": {
            "level": verdict.level.value,
            "erratum": escape_line(verdict.erratum),
            "confirmed": verdict.confirmed,
            "dimensions": _escaped(verdict.dimensions),
            "expected": _escaped(verdict.expected),
            "got": _escaped(verdict.got),
            "nodeid": escape_line(verdict.nodeid),
        },
    }


def _start(run: records.Run | None) -> dict[str, str]:
    """The start of a run, if it is a time with a zone, which the schema demands."""
    try:
        start = datetime.fromisoformat(run.start if run else "")
    except ValueError:
        return {}
    return {"start_time": start.isoformat()} if start.tzinfo else {}


def _escaped(values: dict[str, str]) -> dict[str, str]:
    return {escape_line(name): escape_line(value) for name, value in values.items()}


def _digest(*words: str) -> str:
    return hashlib.sha256(msgspec.json.encode([word.encode(errors="replace") for word in words])).hexdigest()[
        :16
    ]


def _check(content: dict[str, Any]) -> None:
    """Let kcidb-io check a report, if it is installed; InfrastructureError with what it says."""
    try:
        from kcidb_io import schema
    except ImportError:
        return
    for problem in _problems(content, schema.LATEST):
        raise InfrastructureError(f"kcidb-io refuses the report: {problem}")


def _problems(content: dict[str, Any], schema: Any) -> Iterator[str]:
    """What a schema of kcidb-io says against a report, in one line; nothing if it is valid."""
    try:
        schema.validate(content)
    except Exception as error:
        # Of jsonschema, which kcidb-io does not wrap.
        yield escape_line(str(error).partition("\n")[0])
