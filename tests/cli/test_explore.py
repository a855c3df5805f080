"""sysevent explore: what it refuses before a guest starts."""

import pytest

from sysevent import cli

pytest.importorskip("hypothesis", reason="Hypothesis is not installed: pip install 'sysevent[explore]'")

RISCV = '["riscv64",{"vcpus":1},[["run",0,[],0]]]\n'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arch", "vax"], "vax"),
        (["--target", "none"], "none"),
        (["--target", "local"], "no such target is selected"),
        (["--replay", "DIR/none"], "none"),
        (["--replay", "DIR/damaged"], "not a sequence"),
        (["--arch", "arm64", "--replay", "DIR/riscv"], "--replay is about riscv64"),
        (["--results", "DIR"], "not empty"),
        (["--kernel", "debian:1.0"], "debian:1.0"),
        (["--unguided"], "--unguided is about --coverage"),
        (["--build", "DIR"], "not a kernel tree"),
        (["--build", "DIR", "--kernel", "debian:6.12"], "leave out --kernel"),
    ],
)
def test_usage_errors(words, message, tmp_path, capsys):
    (tmp_path / "damaged").write_text("no JSON\n")
    (tmp_path / "riscv").write_text(RISCV)
    given = [word.replace("DIR", str(tmp_path)) for word in words]
    assert cli.main(["explore", *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
