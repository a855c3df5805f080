"""The edits of a small function: each operator where it applies, and nowhere else."""

import pytest

pytest.importorskip("tree_sitter", reason="tree-sitter is not installed: pip install 'sysevent[sensitivity]'")

from sysevent.sensitivity import source
from sysevent.sensitivity.operators import OPERATORS, edits


def changed(body, kind="int", part=""):
    """For each edit of a function with this body: its operator, and the body that it makes."""
    head = f"static {kind} f(int a, int b)\n{{\n\t"
    text = f"{head}{body}\n}}\n".encode()
    (region,) = source.regions(source.parse(text), "f", part)
    found = [(edit.operator, edit.apply(text).decode()) for edit in edits(region)]
    return [(operator, made[len(head) : -len("\n}\n")]) for operator, made in found]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("g(a);", [("delete", ";")]),
        ("a = b;", [("delete", ";")]),
        ("a = 0;", [("delete", ";"), ("constant", "a = 1;")]),
        ("a = 1;", [("delete", ";"), ("constant", "a = 0;")]),
        ("a = 0x40;", [("delete", ";"), ("constant", "a = (0x40 + 1);")]),
        ("a = KVM_EXIT_INTR;", [("delete", ";"), ("constant", "a = (KVM_EXIT_INTR + 1);")]),
        ("a = true;", [("delete", ";"), ("constant", "a = false;")]),
        ("WARN_ON(a);", [("delete", ";")]),
        ('vcpu_debug(a, "%d", 1);', []),
        ("goto out;", [("delete", ";")]),
        ("fallthrough;", [("fallthrough", "break;")]),
        ("/* g(1); */", []),
    ],
)
def test_statements(body, found):
    assert changed(body) == found


def test_condition():
    assert changed("if (a < b)\n\t\tg(a);") == [
        ("delete", ";\n"),
        ("negate", "if (!(a < b))\n\t\tg(a);"),
        ("relation", "if (a <= b)\n\t\tg(a);"),
        ("delete", "if (a < b)\n\t\t;"),
    ]


def test_if_with_else_is_not_deleted():
    assert [operator for operator, _ in changed("if (a) g(a); else g(b);")] == ["negate", "delete", "delete"]


def test_logic():
    assert ("logic", "if (a || b) g(a);") in changed("if (a && b) g(a);")


@pytest.mark.parametrize(
    ("value", "kind", "new"),
    [
        ("0", "int", ["1", "-EINVAL"]),
        ("1", "int", ["0", "-EINVAL"]),
        ("-EINVAL", "int", ["0"]),
        ("g(a)", "int", ["0"]),
        ("PSCI_RET_SUCCESS", "int", ["(PSCI_RET_SUCCESS + 1)"]),
        ("true", "bool", ["false"]),
        ("g(a)", "bool", ["!(g(a))"]),
    ],
)
def test_returned_value(value, kind, new):
    found = changed(f"return {value};", kind)
    assert found == [("delete", ";"), *(("return", f"return {one};") for one in new)]


def test_loop_of_a_macro_is_deleted_with_its_body():
    assert changed("kvm_for_each_vcpu(i, a, b) {\n\t\tg(a);\n\t}")[0] == ("delete", ";\n\n")


def test_label_is_deleted_and_not_changed():
    found = changed("switch (a) {\n\tcase FIRST:\n\tcase SECOND:\n\t\tbreak;\n\t}")
    assert [operator for operator, _ in found] == ["label", "label", "delete"]
    assert "case FIRST:" not in found[0][1]


def test_name_behind_ifdef_is_not_changed():
    assert changed("#ifdef CONFIG_KVM_SMM\n\tg(a);\n#endif") == [
        ("delete", "#ifdef CONFIG_KVM_SMM\n\t;\n#endif")
    ]


def test_part_of_a_function():
    tests = [
        f"if (kvm_check_request(KVM_REQ_{one}, a))\n\t\t{left} = b;" for one, left in (("A", "a"), ("B", "b"))
    ]
    body = "g(a);\n\t" + "\n\t".join(tests)
    found = changed(body, part="KVM_REQ_B")
    assert [operator for operator, _ in found] == ["delete", "negate", "constant", "delete"]
    assert all("\t\ta = b;" in made for _, made in found)


def test_part_of_a_switch_has_the_statements_that_cases_share():
    body = "switch (a) {\n\tcase CAP_A:\n\tcase CAP_B:\n\t\treturn 1;\n\tcase CAP_C:\n\t\treturn 2;\n\t}"
    found = changed(body, part="CAP_A")
    assert [operator for operator, _ in found] == ["label", "delete", "return", "return"]


def test_lines_stay():
    """Line numbers are in the object code, so that other lines would make every mutant differ."""
    body = "g(a,\n\t  b);\n\tif (a)\n\t\tg(b);"
    assert {made.count("\n") for _, made in changed(body)} == {body.count("\n")}


def test_every_operator_is_described():
    assert set(OPERATORS) == {
        "delete",
        "label",
        "fallthrough",
        "negate",
        "relation",
        "logic",
        "constant",
        "return",
    }
