"""Finds the places that are mutated in a file of C, with tree-sitter."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from sysevent.checkout import with_extra
from sysevent.errors import ToolMissing

if TYPE_CHECKING:
    from tree_sitter import Node


class Region(msgspec.Struct, frozen=True):
    """The statements of one place, as nodes of the syntax tree of its file."""

    # The name of the function itself, where the place has a glob.
    function: str
    # "" for the whole function.
    part: str
    # Whether the function returns bool.
    returns_bool: bool
    # What is mutated: the body of the function, or the statements of the part.
    nodes: tuple[Node, ...]

    @property
    def name(self) -> str:
        """The name in tables: the function, and the part in parentheses."""
        return f"{self.function} ({self.part})" if self.part else self.function


def parse(text: bytes) -> Node:
    """Return the syntax tree of a file of C. ToolMissing if tree-sitter is not installed."""
    try:
        import tree_sitter
        import tree_sitter_c
    except ImportError as error:
        raise ToolMissing(
            f"tree-sitter is not installed, which reads C: {with_extra('sensitivity')}"
        ) from error
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language())).parse(text).root_node


def regions(root: Node, function: str, part: str = "") -> Iterator[Region]:
    """Yield the regions of the functions that a name or glob selects, in a file's syntax tree.

    part: an identifier; only `if` statements whose condition has it, and cases whose label has it.
    """
    for node in _inside(root, "function_definition"):
        name = _name(node)
        body = node.child_by_field_name("body")
        if body is None or not fnmatch.fnmatchcase(name, function):
            continue
        kind = node.child_by_field_name("type")
        nodes = tuple(_parts(body, part)) if part else (body,)
        if nodes:
            yield Region(name, part, kind is not None and kind.text == b"bool", nodes)


def _name(function: Node) -> str:
    """The name of a function; "" if its definition is damaged by a macro that the parser does not know."""
    node = function.child_by_field_name("declarator")
    while node is not None and node.type != "identifier":
        node = node.child_by_field_name("declarator")
    return "" if node is None else (node.text or b"").decode("utf-8", "replace")


def _parts(body: Node, part: str) -> Iterator[Node]:
    """The outermost `if` statements and the cases of a body that have an identifier in their condition or label."""
    for child in body.children:
        if child.type == "if_statement" and _has(child.child_by_field_name("condition"), part):
            yield child
        elif child.type == "case_statement" and _has(child, part, label=True):
            yield child
            yield from _shared(child)
        else:
            yield from _parts(child, part)


def _shared(case: Node) -> Iterator[Node]:
    """The statements that a case without any shares with the cases below it."""
    following = case.next_named_sibling
    while following is not None and not _statements(case):
        if following.type == "case_statement" and _statements(following):
            yield from _statements(following)
            return
        following = following.next_named_sibling


def _statements(case: Node) -> list[Node]:
    """The statements of a case: what is behind its colon."""
    colon = next((i for i, child in enumerate(case.children) if child.type == ":"), len(case.children))
    return [child for child in case.children[colon + 1 :] if child.is_named and child.type != "comment"]


def _has(node: Node | None, identifier: str, *, label: bool = False) -> bool:
    """Whether a node has an identifier; label: in front of the colon of a case."""
    if node is None:
        return False
    pending = [node]
    if label:
        colon = next((i for i, child in enumerate(node.children) if child.type == ":"), 0)
        pending = node.children[:colon]
    wanted = identifier.encode()
    while pending:
        one = pending.pop()
        if one.type in ("identifier", "field_identifier") and one.text == wanted:
            return True
        pending += one.children
    return False


def _inside(node: Node, kind: str) -> Iterator[Node]:
    """The nodes of a kind below a node, outermost first, without those inside them."""
    for child in node.children:
        if child.type == kind:
            yield child
        else:
            yield from _inside(child, kind)
