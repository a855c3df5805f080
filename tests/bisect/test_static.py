"""Bisection of headers, with constants that are read from a file of the commit instead of compiled."""

import json

from sysevent.abi.numbers import NUMBERS
from sysevent.bisect import report, session, static
from sysevent.bisect.drive import Ending
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.question import Question
from sysevent.bisect.selection import select
from sysevent.bisect.session import Equipment
from sysevent.bisect.state import State
from sysevent.contract.layout_claim import HeaderFacts
from sysevent.decode.structs import Layout
from sysevent.errors import BuildFailed

CONSTANTS = {number.name: number.value for number in NUMBERS if number.arch in ("", "arm64")}


def read(tree, userspaces):
    """As static.reader: SEV_TERM is 6 where the commit is sound."""
    behaviour = json.loads((tree / "behaviour").read_text())
    if not behaviour["build"]:
        raise BuildFailed("make headers_install failed")
    changed = CONSTANTS | ({} if behaviour["ndata"] else {"KVM_SYSTEM_EVENT_SEV_TERM": 9})
    layout = Layout({}, changed)
    return {one.name: HeaderFacts("the tree", "6.12.107", one, layout, layout) for one in userspaces}


def names(patterns, arch=""):
    return [claim.name for claim in select(patterns, static.static_claims(arch))]


def test_claims():
    """One for each ABI; hazards only where an ABI is not the kernel's own."""
    assert names(["constants"], "x86_64") == [
        "layout.x86_64.constants",
        "layout.i386.constants",
        "layout.x32.constants",
    ]
    assert names(["layout.arm64.*"])
    assert not names(["layout.arm64.hazards"])
    assert names(["kvm.system_event.layout.i386.hazards"]) == ["layout.i386.hazards"]


def test_finds_the_commit(tree, settings, tmp_path):
    """Without a kernel, past a commit whose headers cannot be exported; the report has no bytes to show."""
    question = Question(
        kind="layout",
        source=str(tree.path),
        arch="arm64",
        good=tree.commits[0],
        bad=tree.commits[-1],
        good_named="v1",
        bad_named="v2",
        tests=("layout.arm64.constants",),
    )
    state = State.begin(tmp_path / "results", question)
    result = session.run(state, settings, lambda place: Equipment(read=read), lambda line: None)
    assert result.conclusion.end is Ending.FOUND
    assert result.conclusion.suspects == (tree.commits[9],)
    outcomes = {step.revision: step.outcome for step in state.steps}
    assert outcomes.get(tree.commits[7], Outcome.UNKNOWN) is Outcome.UNKNOWN
    text = report.text(result.conclusion, state, result.about)
    assert "  KVM_SYSTEM_EVENT_SEV_TERM: expected 0x6, got 0x9\n" in text
    assert "kvm_run at" not in text
    assert "--layout" in text
