"""The guides in docs/: their code works as it stands there, and their output is what is printed."""

import re
from pathlib import Path

import pytest
from recorded_edits import u32

from sysevent import checkout, settings
from sysevent.checkout import ROOT
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitEvidence
from sysevent.contract.terms import Terms
from sysevent.errors import NotApplicable
from sysevent.hosts.ssh import remote
from sysevent.model import Status
from sysevent.report import failure
from sysevent.targets.leases import locks

GUIDE = "writing-a-claim"


def blocks(page, language):
    """Return the fenced blocks of a language in a page of docs."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def explained(claim, evidence):
    """Return the text of a failed claim, as a run prints it."""
    verdict = claim.judge(evidence)
    first, *rest = failure.explain(claim, verdict, evidence)
    return "\n".join([f"{verdict.status} {first}", *rest, ""])


@pytest.fixture
def suite(tmp_path):
    """The claims of the guide's suite file, loaded as those of suites/ are."""
    (tmp_path / "psci").mkdir()
    (tmp_path / "psci" / "test_arm64_guide.py").write_text(blocks(GUIDE, "python")[1])
    return catalogue.load(tmp_path)


def test_the_number_of_the_guide_is_in_the_table():
    assert blocks(GUIDE, "python")[0] in (ROOT / "src/sysevent/abi/psci.py").read_text(encoding="utf-8")


def test_the_claims_of_the_guide_hold_on_a_recorded_kernel(suite, recording):
    found = recording("debian-7.2")
    facts = found.facts["arm64-tcg"]
    assert len(suite) == 2
    for claim in suite.exits:
        claim.require_applicable(facts, Terms())
        verdict = claim.judge(ExitEvidence(facts, found.of("arm64-tcg", claim.asks.name)))
        assert verdict.status is Status.PASS, verdict.reason


def test_the_claims_of_the_guide_notice_a_mistake(suite, recording):
    """Of each claim: another exit reason is a FAIL; of the first also an ndata that was forgotten."""
    found = recording("debian-7.2")
    facts = found.facts["arm64-tcg"]
    for claim in suite.exits:
        seen = u32(8, 17)(found.of("arm64-tcg", claim.asks.name))
        assert claim.judge(ExitEvidence(facts, seen)).status is Status.FAIL
    first = suite.exits[0]
    seen = u32(36, 0)(found.of("arm64-tcg", first.asks.name))
    assert claim_fails_for(first, facts, seen) == ["ndata"]


def claim_fails_for(claim, facts, seen):
    return [wrong.what for wrong in claim.judge(ExitEvidence(facts, seen)).mismatches]


def test_the_scenarios_of_the_guide_are_those_of_the_tree(suite):
    """So that the commands of the guide ask the same."""
    own = catalogue.load().scenarios
    assert {name: own[name] for name in suite.scenarios} == suite.scenarios


def test_the_unit_test_of_the_guide_passes(recording):
    names = {}
    exec(blocks(GUIDE, "python")[2], names)
    names["test_a_kernel_that_forgets_ndata_is_noticed"](recording)


def test_an_old_kernel_is_refused_in_the_words_of_the_guide(suite, recording):
    facts = recording("debian-6.12").facts["arm64-tcg"]
    with pytest.raises(NotApplicable) as refused:
        suite.exits[0].require_applicable(facts, Terms())
    assert blocks(GUIDE, "text")[0] == f"{refused.value}\n"


def test_the_failure_of_the_guide_is_what_is_printed(recording):
    found = recording("debian-7.2")
    claim = catalogue.load().claim("arm64.psci.off2.0")
    seen = u32(36, 0)(found.of("arm64-tcg", claim.asks.name))
    assert blocks(GUIDE, "text")[1] == explained(claim, ExitEvidence(found.facts["arm64-tcg"], seen))


def test_the_failure_that_is_walked_through_is_what_is_printed(recording):
    found = recording("debian-5.10")
    claim = catalogue.load().claim("x86_64.hyperv.reset")
    evidence = ExitEvidence(
        found.facts["x86_64-tcg"], found.of("x86_64-tcg", claim.asks.name), Terms(floor=(5, 18))
    )
    assert blocks("reading-a-failure", "text") == [explained(claim, evidence)]
    # Without --floor it passes, as the page says.
    assert claim.judge(ExitEvidence(evidence.facts, evidence.seen)).status is Status.PASS


def test_the_page_on_removal_names_every_place(monkeypatch):
    """Cache, state, locks and the directory on a lab machine are those of the code."""
    for name in ("SYSEVENT_CACHE", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    text = (ROOT / "docs" / "removal.md").read_text(encoding="utf-8")
    places = [settings.from_environment().cache, checkout.state_home()]
    assert all(f"~/{place.relative_to(Path.home())}" in text for place in places)
    assert str(locks.directory()) in text
    # mktemp replaces each X by one character.
    assert "/tmp/sysevent-??????" in text
    assert "sysevent-XXXXXX" in Path(remote.__file__).read_text(encoding="utf-8")
