"""sysevent list and sysevent explain: the claims, and one of them in full."""

import pytest

from sysevent.cli import main
from sysevent.contract import catalogue


def test_list_has_every_claim(capsys):
    assert main(["list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [claim.name for claim in catalogue.load()]


@pytest.mark.parametrize("words", [["psci.off2"], ["arm64.psci.off2*"], ["off2", "--arch", "aarch64"]])
def test_list_takes_globs_parts_and_architectures(capsys, words):
    assert main(["list", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all("off2" in line for line in lines)


def test_a_glob_that_matches_nothing(capsys):
    assert main(["list", "no_such_claim*"]) == 2
    assert capsys.readouterr().err == (
        "sysevent: no claim matches 'no_such_claim*'; `sysevent list` prints all of them\n"
    )


@pytest.mark.parametrize("name", ["arm64.psci.reset2", "psci.reset2", "kvm.system_event.arm64.psci.reset2"])
def test_explain(capsys, name):
    """What is asked, the program, what must come back from new and old kernels, the source, and real kernels."""
    assert main(["explain", name]) == 0
    text = capsys.readouterr().out
    for words in (
        "arm64.psci.reset2\n",
        "34739fd95fab",
        "required since v5.18",
        "KVM_RUN of vCPU 0, kvm_run filled with 0xaa -> 'exit'",
        "  data[0]: 1\n",
        "  hvc     #0\n",
        "5.10.0-32-cloud-arm64 arm64: does not apply",
        "6.12.107+deb13-cloud-arm64 arm64: PASS. exit: 24 (SYSTEM_EVENT) type 2 (RESET) ndata 1 data[0] 0x1",
        "sysevent run --arch arm64 -- -k 'psci.reset2'",
    ):
        assert words in text


@pytest.mark.parametrize("claim", [claim.name for claim in catalogue.load()])
def test_every_claim_can_be_explained(capsys, claim, monkeypatch):
    """Without the recordings, which take a second."""
    monkeypatch.setattr("sysevent.cli.explain.RECORDINGS", catalogue.SUITES)
    assert main(["explain", claim]) == 0
    assert capsys.readouterr().out.startswith(f"{claim}\n")


def test_a_misspelt_claim(capsys):
    assert main(["explain", "psci.rest2"]) == 2
    assert "did you mean arm64.psci.reset2" in capsys.readouterr().err


def test_an_end_of_several_names(capsys):
    """With the architectures that have such a claim."""
    assert main(["explain", "capability"]) == 2
    assert "arm64.capability or riscv64.capability or x86_64.capability" in capsys.readouterr().err
