"""sysevent peers: what it refuses before it starts anything."""

import pytest

from sysevent import cli
from sysevent.build import toolchain
from sysevent.cli import peers


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kernel", "debian:6.13"], "debian:6.12"),
        (["--arch", "vax"], "vax"),
        (["--target", "none"], "none"),
        (["--target", "local"], "only in guests that this machine boots"),
        (["--kvm-unit-tests", "."], "no tree of kvm-unit-tests"),
        (["--kvm-unit-tests", "nowhere"], "nowhere"),
        (["--kernel", "/nowhere/bzImage"], "/nowhere/bzImage"),
    ],
)
def test_usage_errors(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["peers", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_compiler(capsys, tmp_path, monkeypatch):
    """One message, with the line that installs it; nothing was started."""
    # Without QEMU, that would be the message.
    monkeypatch.setattr(peers, "ensure_qemu", lambda archs, progress: None)
    monkeypatch.setattr(toolchain, "toolchains", lambda arch: [])
    assert cli.main(["peers", "--arch", "riscv64", "--results", str(tmp_path / "results")]) == 3
    error = capsys.readouterr().err
    assert "what compiles the selftests is missing" in error
    assert "riscv64" in error
    assert not (tmp_path / "results").exists()


def test_results_of_another_run(capsys, tmp_path):
    (tmp_path / "run.jsonl").write_text("")
    assert cli.main(["peers", "--arch", "arm64", "--results", str(tmp_path)]) == 2
    assert "is not empty: name a new directory" in capsys.readouterr().err
