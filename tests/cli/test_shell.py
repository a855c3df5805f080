"""sysevent shell: the targets that it refuses."""

import pytest

from sysevent.cli import main


def test_kept_guest_takes_no_commands_from_a_pipe(tmp_path, capfd):
    assert main(["shell", "--attach", str(tmp_path)]) == 2
    assert "--attach needs a terminal" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["local"], 2, "local is this machine"),
        (["mips-tcg"], 2, "--target mips-tcg matches none"),
        (["*-tcg"], 2, "*-tcg is more than one target: arm64-tcg, riscv64-tcg, x86_64-tcg"),
        (["local", "--kernel", "debian:6.12"], 2, "cannot boot it"),
    ],
)
def test_target_without_a_shell(words, code, message, capfd):
    assert main(["shell", *words]) == code
    assert message in capfd.readouterr().err


def test_target_of_labgrid(tmp_path, capfd):
    (tmp_path / "lab.toml").write_text(
        '[[target]]\nname = "board"\narch = "arm64"\nwhere = "labgrid"\ntags = {kvm = "yes"}\n'
    )
    assert main(["shell", "board", "--targets", str(tmp_path / "lab.toml")]) == 2
    assert "labgrid-client" in capfd.readouterr().err
