"""Every claim of suites/ is complete, has a test, and checks only what its scenario records."""

import re
import sys

import pytest

from sysevent.abi import kvm_run
from sysevent.abi.registers import REGISTERS
from sysevent.checkout import SUITES
from sysevent.contract import catalogue
from sysevent.contract.checks import Holds, PcAt, RegisterHolds
from sysevent.contract.claim import Claims, of_test
from sysevent.contract.scenario_checks import RefusedThere
from sysevent.errors import HarnessError, UsageError
from sysevent.model import Level
from sysevent.scenario.steps import Wait

# Kinds of checks whose labels are those of answers, not of exits.
ANSWERED = ("Returns", "SameReturn", "BufferHolds", "Counters", "RefusedThere")

CATALOGUE = catalogue.load()
CLAIMS = CATALOGUE.exits
# Facts that no target has: the scenarios of claims that need one of them are not written.
UNMET_FACTS = {"sev_es", "tdx", "compat"}
every = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)


@every
def test_a_claim_is_complete(claim):
    """It has a name that kcidb accepts, a sentence, a source, a level, a check, a scenario of its architecture."""
    assert re.fullmatch(r"kvm(\.[A-Za-z0-9_-]+)+", claim.test())
    assert claim.says.endswith(".")
    assert "\n" not in claim.says
    assert len(claim.source) > 20
    assert claim.level in list(Level)
    assert claim.gives
    assert claim.before_5_18 is None or claim.before_5_18
    assert claim.asks.name.partition(".")[0] == claim.arch


@every
def test_checks_use_what_the_scenario_records(claim):
    """A check names labels of steps, members of kvm_run, registers of the architecture, or labels of payloads."""
    scenario = claim.asks
    if any(need.fact in UNMET_FACTS for need in claim.needs):
        pytest.skip("the scenario of this claim is not written, because no target could run it")
    exits = {step.label for step in scenario.steps if isinstance(step, Wait)}
    answers = {getattr(step, "label", "") for step in scenario.steps} - exits
    for check in (*claim.gives, *(claim.before_5_18 or ())):
        kind = type(check).__name__
        for name in ("label", "first", "second"):
            label = getattr(check, name, None)
            if label is not None:
                assert label in (answers if kind in ANSWERED else exits), check
        if isinstance(check, RefusedThere):
            assert check.exit in exits
        if isinstance(check, Holds):
            assert check.field in kvm_run.FIELDS
        if isinstance(check, RegisterHolds):
            assert check.name in REGISTERS[claim.arch]
        if isinstance(check, PcAt):
            assert check.symbol.partition(".")[0] in scenario.payloads
            assert check.register in REGISTERS[claim.arch]


def test_ndata_is_never_expected_of_an_old_kernel():
    """Before v5.18 those bytes are padding: only claims about observed behaviour may mention them."""
    for claim in CLAIMS:
        fields = [check.field for check in claim.before_5_18 or () if isinstance(check, Holds)]
        promised = claim.level is Level.ABI
        assert not promised or not [name for name in fields if name == "ndata" or "data[" in name], claim.name


def test_every_claim_has_a_test():
    """Each claim belongs to a test of its file; without one it would never be judged."""
    for path in sorted(SUITES.glob("*/test_*.py")):
        module = sys.modules[".".join(path.relative_to(SUITES.parent).with_suffix("").parts)]
        made = [value for value in vars(module).values() if isinstance(value, Claims)]
        tests = [value for name, value in vars(module).items() if name.startswith("test_")]
        assert made, path
        assert sorted(map(id, made)) == sorted(id(of_test(test)) for test in tests), path


def test_an_unknown_claim():
    """UsageError names the claim or the glob."""
    with pytest.raises(UsageError, match=r"no claim is called 'arm64.psci.nonsense'"):
        CATALOGUE.claim("arm64.psci.nonsense")
    with pytest.raises(UsageError, match=r"no claim matches 'arm64.nonsense.\*'"):
        CATALOGUE.select(["arm64.psci.*", "arm64.nonsense.*"])


def suite(tmp_path, *names, steps="()"):
    """Return a folder like suites/ with one file for each name of a claim, whose scenarios differ."""
    for number, name in enumerate(names):
        file = tmp_path / "subject" / f"test_catalogue_{number}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            "from sysevent.contract.claim import claims\n"
            "from sysevent.contract.exit_claim import ExitClaim\n"
            "from sysevent.scenario.steps import Scenario, Vm\n"
            f"ASKS = Scenario('arm64.one', 'arm64', (Vm({number}),))\n"
            f"CLAIMS = claims(ExitClaim({name!r}, 'It is so.', asks=ASKS, gives=(), source=''))\n"
        )
    return tmp_path


def test_two_claims_of_one_name(tmp_path):
    """HarnessError, also if they are in different files."""
    with pytest.raises(HarnessError, match=r"two claims are called 'arm64.same'"):
        catalogue.load(suite(tmp_path, "same", "same"))


def test_two_scenarios_of_one_name(tmp_path):
    """HarnessError, because observations are stored by the name of their scenario."""
    with pytest.raises(HarnessError, match=r"two scenarios are called 'arm64.one'"):
        catalogue.load(suite(tmp_path, "first", "second"))
