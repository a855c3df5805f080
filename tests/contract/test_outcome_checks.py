"""What a real VMM must show, and the claims of suites/vmms on recorded runs."""

import contextlib
from pathlib import Path

import pytest
import vmm_runs as runs

from sysevent.arches import ARCHITECTURES
from sysevent.checkout import GUESTS
from sysevent.contract import catalogue
from sysevent.contract.exit_claim import ExitClaim, ExitEvidence
from sysevent.contract.outcome_checks import Shows, beside
from sysevent.contract.terms import Terms
from sysevent.errors import NotApplicable
from sysevent.model import Facts, KernelIdentity, Level, Proof, Status
from sysevent.report import records, run_log
from sysevent.scenario.vmms import MACHINES

CLAIMS = [claim for claim in catalogue.load() if isinstance(claim, ExitClaim) and claim.asks.runs_programs]
OFF = ("SHUTDOWN guest-shutdown",)
AGAIN = Shows(("RESET guest-reset",), again=True, state="running")


def wrong(check, seen):
    return {one.what: (one.expected, one.got) for one in check.mismatches(seen)}


@pytest.mark.parametrize(
    ("check", "seen"),
    [
        (Shows(OFF), runs.shutdown()),
        (AGAIN, runs.reset()),
        (Shows(returned=5, state="running"), runs.returned(5)),
        (Shows(refused=True, state="running"), runs.returned(0, kind="g")),
        (Shows(("GUEST_PANICKED", "SHUTDOWN guest-panic"), data={"arg1": "17"}), runs.panic()),
    ],
)
def test_what_holds(check, seen):
    assert wrong(check, seen) == {}


@pytest.mark.parametrize(
    ("check", "seen", "what"),
    [
        (AGAIN, runs.reset(again=False), {"guest started again": ("yes", "no")}),
        (AGAIN, runs.shutdown(), {"events", "guest started again", "state"}),
        (Shows(OFF), runs.reset(), {"events", "guest started again", "state"}),
        (Shows(returned=5, state="running"), runs.returned(6), {"returned": ("0x5", "0x6")}),
        (Shows(returned=5, state="running"), runs.returned(0, kind="g"), {"returned", "fault"}),
        (Shows(state="running"), runs.returned(6), {"returned": ("no", "0x6")}),
        (
            Shows(("GUEST_PANICKED", "SHUTDOWN guest-panic"), data={"arg1": "18", "arg9": "1"}),
            runs.panic(),
            {"arg1": ("18", "17"), "arg9": ("1", "none")},
        ),
        (Shows(OFF, exit_code=1), runs.shutdown(), {"VMM ended": ("exit code 1", "exit code 0")}),
    ],
)
def test_each_difference_is_named(check, seen, what):
    found = wrong(check, seen)
    assert found == what if isinstance(what, dict) else set(found) == what


def test_hostile_text_is_escaped():
    """It reaches reports and terminals as a mismatch."""
    seen = runs.seen(
        runs.answer(runs.qmp(runs.event("RESET", reason="a\x1b[31m\nb")), side=runs.report("m", 1))
    )
    assert wrong(Shows(), seen)["events"] == ("none", "RESET a\\x1b[31m\\x0ab")


RECORDINGS = Path(__file__).parents[1] / "data" / "vmms"
# Claims that are judged, and how many of them are DONE for an erratum: (x86-64's unpaged triple fault, kvm-ioctls).
RECORDED = {"qemu-10": (74, 2), "qemu-5.2": (47, 2), "kvm-ioctls": (8, 3), "kvmtool": (40, 0)}


@pytest.mark.parametrize("vmm", RECORDED)
def test_recorded_runs(vmm):
    """On 5.10, 6.12 and 7.2 everything is as the claims say, or as an erratum does; nothing else is DONE."""
    run = list(run_log.read(RECORDINGS / f"{vmm}.jsonl"))
    facts = {record.name: record.facts() for record in run if isinstance(record, records.Target)}
    claims = {claim.asks.name: claim for claim in CLAIMS}
    judged = []
    for record in run:
        if isinstance(record, records.Observation):
            claim, of = claims[record.scenario], facts[record.target]
            claim.require_applicable(of, Terms())
            with contextlib.suppress(NotApplicable):
                judged.append(claim.judge(ExitEvidence(of, record.seen(), Terms())))
    done = [verdict for verdict in judged if verdict.status is Status.DONE]
    assert {verdict.status for verdict in judged} <= {Status.PASS, Status.DONE}
    assert all(verdict.erratum for verdict in done), done
    assert (len(judged), len(done)) == RECORDED[vmm]


def claim_of(name):
    (found,) = [claim for claim in CLAIMS if claim.name == name]
    return found


@pytest.mark.parametrize(
    ("release", "mode", "again", "status", "erratum"),
    [
        ("5.10.1", {"vendor": "amd"}, True, Status.PASS, ""),
        ("6.12.1", {"vendor": "amd"}, False, Status.DONE, "svm-shutdown-unpaged-qemu"),
        ("6.12.1", {"vendor": "amd"}, True, Status.PASS, "svm-shutdown-unpaged-qemu"),
        ("6.12.1", {"vendor": "intel"}, False, Status.DONE, ""),
        ("5.10.1", {"vendor": "amd"}, False, Status.DONE, ""),
    ],
)
def test_bytes_right_guest_dead(release, mode, again, status, erratum):
    """The erratum explains it on the kernels that it names; elsewhere the change is reported."""
    claim = claim_of("x86_64.vmm.qemu.triple_fault.unpaged")
    seen = runs.reset(again)
    seen = runs.seen(seen.answers["run"], seen.answers["end"], scenario=claim.asks.name)
    facts = Facts("x86_64", release, {}, {}, identity=KernelIdentity("", {}, Proof.RECORDED, mode=mode))
    verdict = claim.judge(ExitEvidence(facts, seen, Terms()))
    assert (verdict.status, verdict.erratum) == (status, erratum)


def test_every_claim_is_observed_and_has_its_bytes_beside():
    """A VMM's doing is no promise of the kernel; and the claim about the bytes exists."""
    known = {claim.name for claim in catalogue.load()}
    for claim in CLAIMS:
        assert claim.level is Level.OBSERVED
        assert beside(claim) in known, claim.name


def test_claims_of_real_vmms_are_asked_of_no_other_guest():
    """They are in no list of what our own VMM asks."""
    assert CLAIMS
    assert not {claim.name for claim in CLAIMS} & {claim.name for claim in catalogue.load().of_guests}


def test_every_architecture_has_a_machine_and_a_guest():
    assert set(MACHINES) == set(ARCHITECTURES) == {claim.arch for claim in CLAIMS}
    for arch in ARCHITECTURES:
        assert (GUESTS / "vmms" / f"{arch}.S").is_file()
        assert (GUESTS / "vmms" / f"{arch}.ld").is_file()
