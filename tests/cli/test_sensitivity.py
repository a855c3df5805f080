"""sysevent sensitivity: what it refuses, and its list."""

import pytest
from kernel_images import source_tree

from sysevent import cli

pytest.importorskip("tree_sitter", reason="tree-sitter is not installed: pip install 'sysevent[sensitivity]'")

FILE = "arch/riscv/kvm/vcpu_sbi.c"
TEXT = "int kvm_riscv_vcpu_sbi_ecall(struct kvm_vcpu *vcpu)\n{\n\treturn 0;\n}\n"


@pytest.fixture
def tree(tmp_path):
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(TEXT)
    return source_tree(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs --tree DIR"),
        (["--tree", "."], "not a kernel tree"),
        (
            ["--tree", "TREE", "--arch", "riscv64", "--function", "none"],
            "--function none is not one of riscv64",
        ),
        (["--tree", "TREE", "--arch", "vax"], "vax"),
        (["--tree", "TREE", "--arch", "arm64"], "has none of the functions"),
        (["--tree", "TREE", "--arch", "riscv64", "--target", "none"], "none"),
        (["--tree", "TREE", "--arch", "riscv64", "--target", "arm64*"], "arm64*"),
    ],
)
def test_usage_errors(words, message, tree, capsys, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert cli.main(["sensitivity", *(str(tree) if word == "TREE" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_list(tree, capsys):
    assert cli.main(["sensitivity", "--tree", str(tree), "--arch", "riscv64", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith(f"{FILE}:3 kvm_riscv_vcpu_sbi_ecall: return: return 0; -> return 1;")
