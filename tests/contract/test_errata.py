"""Errata: which kernels they are about, which failures they explain, and what becomes of a verdict."""

import fnmatch

import msgspec
import pytest

from sysevent.contract import catalogue
from sysevent.contract.errata import ERRATA, weigh
from sysevent.contract.erratum import Erratum, Symptom
from sysevent.contract.terms import Terms
from sysevent.model import Facts, KernelIdentity, Level, Mismatch, Proof, Status, Verdict

DEFAULT = Terms()
STRICT = Terms(strict_errata=True)
ERRATUM = Erratum(
    id="an-erratum",
    claims=("arm64.a.*",),
    says="KVM forgets",
    since=((6, 1),),
    fixed=((6, 12, 29), (6, 15)),
    source="a thread",
    fix="0123456789ab",
    fails=(Symptom("again: exit_reason", "none within * s: the watchdog*"), Symptom("data[0]", "0x1")),
    seen=("6.1.9",),
    evidence="bytes",
)
AS_IT_SAYS = (
    Mismatch("again: exit_reason", "SHUTDOWN", "none within 3.0 s: the watchdog ended KVM_RUN"),
    Mismatch("data[0]", "0", "0x1"),
)


def kernel(release, mode):
    return Facts("x86_64", release, {}, {}, identity=KernelIdentity("", {}, Proof.PROVEN, mode=mode))


def weighed(
    status=Status.FAIL,
    wrong=AS_IT_SAYS,
    release="6.12.28",
    claim="arm64.a.b",
    terms=DEFAULT,
    erratum=ERRATUM,
    mode=None,
):
    verdict = Verdict(f"kvm.{claim}", status, Level.ABI, "it is wrong.", wrong)
    facts = kernel(release, mode or {})
    return verdict, weigh(verdict, claim, "arm64", facts, terms, ("arm64.s",), (erratum,))


def test_a_failure_as_the_erratum_says():
    """DONE; the reason begins with fixed words, and has the sentence of the erratum and what was found."""
    _, found = weighed()
    assert (found.status, found.erratum, found.mismatches) == (Status.DONE, "an-erratum", AS_IT_SAYS)
    assert found.reason == "Known defect, erratum an-erratum: KVM forgets. it is wrong."


def test_under_strict_errata():
    """FAIL, with the name of the erratum, so that it is confirmed as any other failure."""
    _, found = weighed(terms=STRICT)
    assert (found.status, found.erratum) == (Status.FAIL, "an-erratum")
    _, observed = weighed(status=Status.DONE, terms=STRICT)
    assert observed.status is Status.FAIL


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        AS_IT_SAYS[:1],
        AS_IT_SAYS[1:],
        (*AS_IT_SAYS, Mismatch("type", "1", "2")),
        (AS_IT_SAYS[0], Mismatch("data[0]", "0", "0x2")),
        (AS_IT_SAYS[0], Mismatch("data0", "0", "0x1")),
        (Mismatch("exit_reason", "SHUTDOWN", AS_IT_SAYS[0].got), AS_IT_SAYS[1]),
    ],
    ids=["refused", "one", "other", "more", "value", "name", "label"],
)
def test_a_failure_of_another_kind(wrong):
    """More or fewer fields, other values, no fields at all: FAIL, without the erratum."""
    verdict, found = weighed(wrong=wrong)
    assert found == verdict


def test_the_same_field_twice():
    """As two ABIs give it in one log."""
    _, found = weighed(wrong=(*AS_IT_SAYS, AS_IT_SAYS[0]))
    assert found.status is Status.DONE


@pytest.mark.parametrize(
    "release",
    [
        "6.0.19",
        "6.1.0-rc8",
        "6.12.29",
        "6.12.0-50-generic",
        "6.12.29-rc1",
        "6.15.0-rc3",
        "6.15.0",
        "7.2.1",
        "next",
        "",
    ],
)
def test_kernels_that_are_not_affected(release):
    """Older and repaired ones, and those whose release does not decide it: FAIL stays FAIL, and PASS has no note."""
    for status, wrong in ((Status.FAIL, AS_IT_SAYS), (Status.PASS, ())):
        verdict, found = weighed(status, wrong, release)
        assert found == verdict


@pytest.mark.parametrize(
    "release",
    [
        "6.1.0",
        "6.1.0-50-cloud-amd64",
        "6.1.200",
        "6.1.5-rc1",
        "6.11.0-26-generic",
        "6.12.0",
        "6.12.28",
        "6.13.12",
    ],
)
def test_kernels_that_are_affected(release):
    assert weighed(release=release)[1].status is Status.DONE


def test_a_floor_that_demands_the_repair():
    """The user says that the kernel has what 6.15 has. A lower floor does not matter."""
    assert weighed(terms=Terms(floor=(6, 15)))[1].status is Status.FAIL
    assert weighed(terms=Terms(floor=(6, 12)))[1].status is Status.DONE


@pytest.mark.parametrize(
    ("mode", "status"),
    [({"vendor": "amd"}, Status.DONE), ({"vendor": "intel"}, Status.FAIL), ({}, Status.FAIL)],
)
def test_another_mode_of_kvm(mode, status):
    """A defect of SVM explains no failure on VMX, and none on a machine whose mode is not known."""
    erratum = msgspec.structs.replace(ERRATUM, mode={"vendor": "amd"})
    assert weighed(erratum=erratum, mode=mode)[1].status is status


@pytest.mark.parametrize(
    ("mode", "status"),
    [("protected hVHE", Status.DONE), ("protected nVHE+NV2", Status.DONE), ("hVHE", Status.FAIL)],
)
def test_modes_with_a_common_beginning(mode, status):
    erratum = msgspec.structs.replace(ERRATUM, mode={"mode": "protected *"})
    assert weighed(erratum=erratum, mode={"mode": mode})[1].status is status


def test_other_claims_and_abis():
    assert weighed(claim="arm64.b")[1].status is Status.FAIL
    of_arm = msgspec.structs.replace(ERRATUM, abi="arm")
    assert weighed(erratum=of_arm)[1].status is Status.FAIL


@pytest.mark.parametrize("terms", [DEFAULT, STRICT], ids=["default", "strict"])
def test_a_claim_that_passes_nevertheless(terms):
    """It stays PASS and says so: the kernel is not to blame for the table."""
    _, found = weighed(Status.PASS, (), terms=terms)
    assert (found.status, found.erratum) == (Status.PASS, "an-erratum")
    assert found.reason.endswith("It passes although erratum an-erratum says that it fails: KVM forgets.")


def test_a_claim_about_many_scenarios():
    """That it passes says nothing unless the scenario of the erratum was asked."""
    for scenario, noted in (("arm64.t", ""), ("arm64.s", "an-erratum")):
        erratum = msgspec.structs.replace(ERRATUM, scenario=scenario)
        assert weighed(Status.PASS, (), erratum=erratum)[1].erratum == noted


def test_a_skip_has_no_erratum():
    verdict, found = weighed(Status.SKIP, ())
    assert found == verdict


@pytest.mark.parametrize("one", ERRATA, ids=lambda one: one.id)
def test_the_table(one):
    """Ids are unique; each row names claims and scenarios that exist, and the text of one sentence."""
    assert [other.id for other in ERRATA].count(one.id) == 1
    names = [claim.name for claim in catalogue.load()]
    assert all(fnmatch.filter(names, name) for name in one.claims)
    assert not one.scenario or one.scenario in catalogue.load().scenarios
    assert one.since
    assert one.fails
    assert one.seen
    assert all(len(release) in (2, 3) for release in (*one.since, *one.fixed))
    assert not one.says.endswith(".")
    # A repair in stable releases is in a series, too: later ones would count as affected.
    assert not one.fixed or any(len(release) == 2 for release in one.fixed)


@pytest.mark.parametrize("one", ERRATA, ids=lambda one: one.id)
def test_the_table_is_about_the_kernels_where_it_was_seen(one):
    for release in one.seen:
        assert one.affects(kernel(release, one.mode), Terms())
