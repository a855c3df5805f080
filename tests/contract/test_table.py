"""Every row of the contract is complete, is asked by a suite, and has an old contract where it needs one."""

import fnmatch
import re

import pytest

from sysevent.abi import kvm_run
from sysevent.abi.registers import REGISTERS
from sysevent.checkout import SUITES
from sysevent.contract import arm64, arm64_callers, arm64_states, riscv64, table, x86_64, x86_64_states, xen
from sysevent.contract.checks import At, Holds, Register
from sysevent.errors import HarnessError
from sysevent.model import Level
from sysevent.scenario import catalog
from sysevent.scenario.steps import Wait

CLAIMS = table.CLAIMS.values()
NOBODY_ASKS = {"sev_es", "tdx", "compat"}  # facts of claims that keep a place for machines that are not there
every = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)


def test_names_are_unique():
    """Of all rows, not only of those that the table kept."""
    modules = (arm64, arm64_callers, arm64_states, riscv64, x86_64, x86_64_states, xen)
    names = [claim.name for module in modules for claim in module.CLAIMS]
    assert len(names) == len(set(names)) == len(table.CLAIMS)


@every
def test_a_row_is_complete(claim):
    """A name that kcidb takes, a sentence, a source, a level, a scenario of its architecture, something to check."""
    assert re.fullmatch(r"kvm(\.[A-Za-z0-9_-]+)+", claim.test)
    assert claim.says.endswith(".")
    assert "\n" not in claim.says
    assert len(claim.source) > 20
    assert claim.level in list(Level)
    assert claim.checks
    assert claim.before is None or claim.before
    assert catalog.scenario(claim.scenario).arch == claim.arch


@every
def test_checks_ask_for_what_the_scenario_gives(claim):
    """Labels of its steps, fields of kvm_run, registers of its architecture, labels of its payloads."""
    scenario = catalog.scenario(claim.scenario)
    if any(need.fact in NOBODY_ASKS for need in claim.needs):
        pytest.skip("a place is kept for it: nobody can ask it yet")
    exits = {step.label for step in scenario.steps if isinstance(step, Wait)}
    answers = {getattr(step, "label", "") for step in scenario.steps} - exits
    for check in (*claim.checks, *(claim.before or ())):
        kind = type(check).__name__
        for name in ("label", "first", "second"):
            label = getattr(check, name, None)
            if label is not None:
                assert label in (answers if kind in ("Gives", "Contains", "Counters") else exits), check
        if isinstance(check, Holds):
            assert check.field in kvm_run.FIELDS
        if isinstance(check, Register):
            assert check.name in REGISTERS[claim.arch]
        if isinstance(check, At):
            assert check.symbol.partition(".")[0] in scenario.payloads
            assert check.register in REGISTERS[claim.arch]


def test_ndata_is_never_expected_of_an_old_kernel():
    """Before capability 215 those bytes are padding, whatever today's behaviour leaves in them."""
    for claim in CLAIMS:
        fields = [check.field for check in claim.before or () if isinstance(check, Holds)]
        promised = claim.level is Level.ABI
        assert not promised or not [name for name in fields if name == "ndata" or "data[" in name], claim.name


def globs():
    """What the suites' @pytest.mark.claims name."""
    texts = [path.read_text() for path in sorted(SUITES.rglob("test_*.py"))]
    marks = [mark for text in texts for mark in re.findall(r"mark\.claims\(([^)]*)\)", text)]
    return [glob for mark in marks for glob in re.findall(r'"([^"]+)"', mark)]


def test_some_suite_asks_for_every_claim():
    """A row that no test names would never be judged."""
    found = globs()
    assert [name for name in table.CLAIMS if not any(fnmatch.fnmatchcase(name, glob) for glob in found)] == []


def test_suites_ask_for_claims_that_exist():
    """Every pattern of every suite finds a row."""
    assert len(globs()) > 20
    for glob in globs():
        assert table.select([glob])


def test_no_such_claim():
    with pytest.raises(HarnessError, match=r"no claim is called 'arm64.psci.nonsense'"):
        table.claim("arm64.psci.nonsense")
    with pytest.raises(HarnessError, match=r"no claim matches 'arm64.nonsense.\*'"):
        table.select(["arm64.psci.*", "arm64.nonsense.*"])
