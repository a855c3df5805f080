"""The operators: from a syntax tree to single edits, each of which a person could make by mistake."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from sysevent.sensitivity.source import Region

if TYPE_CHECKING:
    from tree_sitter import Node

# What each operator does, for the documentation and for --help.
OPERATORS = {
    "delete": "a statement, or an if without else, is deleted",
    "label": "the label of a case is deleted",
    "fallthrough": "fallthrough becomes break",
    "negate": "a condition is negated",
    "relation": "a relation is changed: == and !=, < and <=, > and >=",
    "logic": "&& becomes ||, or the reverse",
    "constant": "an integer or an enumerator is changed, or true and false are exchanged",
    "return": "the value that is returned is changed",
}

_RELATIONS = {"==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_LOGIC = {"&&": "||", "||": "&&"}
_BOOL = {"true": "false", "false": "true"}
# Statements that are deleted as a whole. Of a loop or an if, what is inside is mutated as well.
_DELETED = (
    "expression_statement",
    "return_statement",
    "break_statement",
    "continue_statement",
    "goto_statement",
    "for_statement",
    "while_statement",
    "do_statement",
)
_CONDITIONAL = ("if_statement", "while_statement", "do_statement", "conditional_expression")
# Macros and enumerators, by the kernel's coding style.
_CONSTANT = re.compile(rb"[A-Z][A-Z0-9_]{2,}")
# Calls that only print.
_PRINTS = re.compile(rb"(vcpu|kvm)_(debug|err|unimpl)|(kvm_)?pr_\w+|trace_\w+")


class Edit(msgspec.Struct, frozen=True):
    """One change of a text: bytes start to end are replaced."""

    start: int
    end: int
    new: bytes
    # A key of OPERATORS.
    operator: str

    def apply(self, text: bytes) -> bytes:
        """Return the changed text, with as many lines as before: the line numbers in the object code stay the same."""
        missing = text.count(b"\n", self.start, self.end) - self.new.count(b"\n")
        return text[: self.start] + self.new + b"\n" * max(0, missing) + text[self.end :]


def edits(region: Region) -> Iterator[Edit]:
    """Yield every edit of a region, in the order of the text."""
    for node in region.nodes:
        yield from _edits(node, region)


def _edits(node: Node, region: Region) -> Iterator[Edit]:
    if node.type == "comment" or _prints(node):
        return
    yield from _own(node, region)
    children = node.children
    if node.type == "case_statement":
        # The label itself is deleted, not changed: it would be another function of the guest's interface.
        colon = next((i for i, child in enumerate(children) if child.type == ":"), 0)
        yield from _label(node, children[colon])
        children = children[colon + 1 :]
    for child in children:
        # Not what #ifdef asks for: that changes the configuration.
        if not (node.type.startswith("preproc_") and child.type == "identifier"):
            yield from _edits(child, region)


def _own(node: Node, region: Region) -> Iterator[Edit]:
    """The edits of a node itself, without those of what is inside it."""
    if node.type in _DELETED or (
        node.type == "if_statement" and node.child_by_field_name("alternative") is None
    ):
        yield from _deleted(node)
    if node.type in _CONDITIONAL and (condition := node.child_by_field_name("condition")):
        text = _text(condition)
        yield _replaced(condition, b"(!%s)" % (text if text.startswith(b"(") else b"(%s)" % text), "negate")
    if node.type == "binary_expression" and (operator := node.child_by_field_name("operator")):
        for table, name in ((_RELATIONS, "relation"), (_LOGIC, "logic")):
            if new := table.get(operator.type):
                yield _replaced(operator, new.encode(), name)
    if node.type == "return_statement":
        yield from _returned(node, region)
    elif not _is_returned(node):
        yield from _constant(node)


def _deleted(node: Node) -> Iterator[Edit]:
    end = node.end_byte
    if node.type == "expression_statement":
        if _text(node) == b"fallthrough;":
            yield _replaced(node, b"break;", "fallthrough")
            return
        if node.children[-1].is_missing:
            # Not a call but a macro in front of a loop's body, such as kvm_for_each_vcpu().
            body = node.next_named_sibling
            if body is None:
                return
            end = body.end_byte
    yield Edit(node.start_byte, end, b";", "delete")


def _label(case: Node, colon: Node) -> Iterator[Edit]:
    if case.children[0].type == "case":
        yield Edit(case.start_byte, colon.end_byte, b"", "label")


def _returned(node: Node, region: Region) -> Iterator[Edit]:
    value = next((child for child in node.children if child.is_named and child.type != "comment"), None)
    if value is None:
        return
    text = _text(value)
    if region.returns_bool:
        new = [_BOOL[text.decode()].encode()] if text.decode() in _BOOL else [b"!(%s)" % text]
    elif text in (b"0", b"1"):
        new = [b"1" if text == b"0" else b"0", b"-EINVAL"]
    elif _CONSTANT.fullmatch(text):
        new = [b"(%s + 1)" % text]
    else:
        new = [b"0"]
    for one in new:
        yield _replaced(value, one, "return")


def _is_returned(node: Node) -> bool:
    """Whether a node is a constant, or -constant, that a return statement returns: see _returned()."""
    parent = node.parent
    if parent is not None and parent.type == "unary_expression":
        parent = parent.parent
    return parent is not None and parent.type == "return_statement"


def _constant(node: Node) -> Iterator[Edit]:
    text = _text(node)
    if node.type == "number_literal":
        new = {b"0": b"1", b"1": b"0"}.get(text, b"(%s + 1)" % text)
        yield _replaced(node, new, "constant")
    elif node.type in _BOOL:
        yield _replaced(node, _BOOL[node.type].encode(), "constant")
    elif node.type == "identifier" and _CONSTANT.fullmatch(text) and not _is_called(node):
        yield _replaced(node, b"(%s + 1)" % text, "constant")


def _is_called(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "call_expression" and parent.children[0] == node


def _prints(node: Node) -> bool:
    """Whether a node is a statement that only prints."""
    if node.type != "expression_statement" or node.children[0].type != "call_expression":
        return False
    return bool(_PRINTS.fullmatch(_text(node.children[0].children[0])))


def _replaced(node: Node, new: bytes, operator: str) -> Edit:
    return Edit(node.start_byte, node.end_byte, new, operator)


def _text(node: Node) -> bytes:
    return node.text or b""
