"""The mutants of a small tree."""

import pytest

pytest.importorskip("tree_sitter", reason="tree-sitter is not installed: pip install 'sysevent[sensitivity]'")

from sysevent.errors import UsageError
from sysevent.sensitivity import mutants
from sysevent.sensitivity.places import Place

FILE = "virt/kvm/a.c"
TEXT = b"""int g(void);

static int f(int a)
{
\tif (a == 1)
\t\treturn g();

\ta = 0;
\treturn a;
}
"""
F = Place((FILE, "virt/kvm/moved.c"), "f")


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "virt/kvm").mkdir(parents=True)
    (tmp_path / FILE).write_bytes(TEXT)
    return tmp_path


def test_mutant(tree):
    found = mutants.find(tree, [F]).mutants
    (negated,) = [one for one in found if one.operator == "negate"]
    assert (negated.file, negated.function, negated.line) == (FILE, "f", 5)
    assert (negated.before, negated.after) == ("if (a == 1)", "if (!(a == 1))")
    assert negated.above == "int g(void);\nstatic int f(int a)\n{"
    assert negated.diff == (
        f"--- a/{FILE}\n+++ b/{FILE}\n@@ -2,7 +2,7 @@\n \n static int f(int a)\n {{\n-\tif (a == 1)\n"
        "+\tif (!(a == 1))\n \t\treturn g();\n \n \ta = 0;\n"
    )


def test_text_is_that_of_the_tree(tree):
    assert mutants.find(tree, [F]).files == {FILE: TEXT}


def test_equal_mutants_are_one(tree):
    twice = mutants.find(tree, [F, Place((FILE,), "*")])
    assert twice.mutants == mutants.find(tree, [F]).mutants
    assert len({one.key for one in twice.mutants}) == len(twice.mutants)


def test_key_survives_a_change_elsewhere(tree):
    before = [one.key for one in mutants.find(tree, [F]).mutants]
    (tree / FILE).write_bytes(b"int h(void);\n\n" + TEXT)
    assert [one.key for one in mutants.find(tree, [F]).mutants] == before


def test_function_that_a_kernel_does_not_have(tree):
    assert mutants.find(tree, [F, Place((FILE,), "later", "KVM_REQ_A")]).absent == ("later (KVM_REQ_A)",)


def test_tree_without_any_of_them(tree):
    with pytest.raises(UsageError, match="has none of the functions: none"):
        mutants.find(tree, [Place((FILE,), "none")])


def test_sample_is_the_same_each_time(tree):
    found = mutants.find(tree, [F])
    parts = [found.sample(2).mutants, found.sample(2).mutants]
    assert parts[0] == parts[1]
    assert set(parts[0]) < set(found.mutants)
    assert found.sample(1) == found
