"""sysevent vmms: a run for each VMM, and the table of all."""

import argparse
from pathlib import Path

import pytest
from report.test_vmm_table import TEST, records_of
from sample_records import RUN, verdict
from vmm_runs import reset

from sysevent.cli import vmms
from sysevent.errors import UsageError
from sysevent.prompt.verbs import add_arguments
from sysevent.report import run_log


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run(codes, *words): the verb, whose runs of pytest end so; its exit code, and the words of each run.

    gives: the records of each run; those of an event that is as its claim says without.
    """
    monkeypatch.setattr(vmms, "ensure_qemu", lambda *_, **__: None)

    def with_codes(codes, *words, gives=()):
        parser = argparse.ArgumentParser(exit_on_error=False)
        add_arguments(parser, "vmms")
        started = []

        def start(arguments, output):
            code = codes[len(started)]
            started.append((list(arguments), output))
            (results,) = [word.partition("=")[2] for word in arguments if word.startswith("--results=")]
            vmm = next(word.partition("=")[2] for word in arguments if word.startswith("--vmm="))
            if code in (0, 1):
                log = run_log.RunLog(run_log.path_in(Path(results)))
                for record in (RUN, *(gives or records_of("5.10", reset(), vmm=vmm))):
                    log.write(record)
                log.close()
            return code

        args = parser.parse_args([f"--results={tmp_path}/all", *words])
        return vmms.run(args, start), started

    return with_codes


def test_one_run_for_each_vmm(run, tmp_path, capsys):
    """With the same targets and kernels, results of its own, and only the tests that the table needs."""
    code, started = run(
        [0, 0], "--vmm", "qemu-10", "--vmm", "qemu-7.2", "--kernel", "debian:5.10", "--arch", "x86_64"
    )
    assert code == 0
    for (words, output), vmm in zip(started, ("qemu-10", "qemu-7.2"), strict=True):
        assert f"--vmm={vmm}" in words
        assert {
            "--kernel=debian:5.10",
            "--arch=x86_64",
            f"--results={tmp_path}/all/{vmm}",
            "--abi=native",
        } <= set(words)
        assert output == tmp_path / "all" / f"{vmm}.out"
        (keywords,) = [word for word in words if word.startswith("-k=")]
        assert "-vmm. or " in keywords
        assert "-psci.off] or " in keywords
    shown = capsys.readouterr().out
    assert "RESET guest-reset; guest runs again  PASS   qemu-10, qemu-7.2 on 5.10" in shown


def test_what_is_not_as_the_claims_say(run, capsys):
    """Below the table, in a line for each VMM."""
    seen = records_of("6.12", reset(again=False), status="DONE", raw="DONE", erratum="svm")
    run([0], "--vmm", "qemu-10", gives=seen)
    line = capsys.readouterr().out.splitlines()[-2]
    assert line.startswith("guest dead: qemu-10 on x86_64-tcg@6.12, 1 event triple_fault.unpaged: RESET")
    assert line.endswith("(bytes DONE svm)")


def test_without_a_name_each_qemu_is_run(run):
    assert len(run([0] * 4)[1]) == 4


@pytest.mark.parametrize(
    ("codes", "code", "count"), [([1, 0], 1, 2), ([5, 0], 0, 2), ([2, 0], 2, 1), ([3, 1], 3, 2)]
)
def test_exit_codes(run, codes, code, count):
    """The highest one; no test for a VMM is no failure, and an interrupted run ends all."""
    found, started = run(codes, "--vmm=a", "--vmm=b")
    assert (found, len(started)) == (code, count)


def test_nothing_is_known(run, capsys):
    """Neither an event nor a failure: no success."""
    skipped = verdict(TEST, "x86_64-tcg", "SKIP", reason="no tree", dimensions={"vmm": "kvmtool"})
    assert run([0], "--vmm", "kvmtool", gives=[skipped])[0] == 3
    assert "kvmtool was not asked on x86_64: no tree\n" in capsys.readouterr().out


def test_results_are_not_mixed(run, tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "x").touch()
    with pytest.raises(UsageError, match="is not empty: name a new directory"):
        run([0])
