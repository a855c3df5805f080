"""Every number of the ABI is in one row of src/sysevent/abi, and nowhere else."""

import ast
import importlib
import pkgutil
import re
from functools import cache

import pytest

import sysevent.abi
from sysevent.abi import names
from sysevent.abi.capabilities import Capability
from sysevent.abi.errno import Errno
from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.abi.ioctls import Request
from sysevent.abi.mp_state import MpState
from sysevent.abi.number import Number
from sysevent.abi.numbers import NUMBERS
from sysevent.abi.psci import Function
from sysevent.checkout import ROOT

ABI = ROOT / "src" / "sysevent" / "abi"
ELSEWHERE = [
    path
    for folder in ("src", "suites")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ABI not in path.parents
]
# Names that a second definition of one of these numbers would have.
TAKEN = {
    *(f"EXIT_{reason.name}" for reason in ExitReason),
    *(f"CAP_{capability.name}" for capability in Capability),
    *(f"{prefix}_{state.name}" for state in MpState for prefix in ("MP", "MP_STATE")),
    *(f"{prefix}_{kind.name}" for kind in EventType for prefix in ("EVENT", "SYSTEM_EVENT", "TYPE")),
    *(number.name for table in (Errno, Function, Request) for number in table),
}
# Attributes that must be compared with members of a table, not with literals.
COMPARED = ("exit_reason", "errno")


def tables():
    """Return the enumerations of sysevent.abi that have members."""
    found = [Errno, Number]
    for table in found:
        found += table.__subclasses__()
    return [table for table in found if len(table)]


@cache
def distinctive():
    """Return the numbers that occur elsewhere only as a copy: not small, not a single bit, not a mask."""
    found = {number.value for table in tables() for number in table}
    for module in pkgutil.iter_modules(sysevent.abi.__path__, "sysevent.abi."):
        values = vars(importlib.import_module(module.name)).values()
        found |= {value for value in values if isinstance(value, int)}
    return {value for value in found if value >= 0x1000 and value & (value - 1) and value & (value + 1)}


def number(node):
    """Return the value of a literal number other than 0; a false value for any other node."""
    literal = isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value
    return node.value if literal and not isinstance(node.value, bool) else None


def second_definitions(tree):
    """Yield the lines of a module that define a number of the ABI again, and how."""
    for node in ast.walk(tree):
        if number(node) in distinctive():
            yield node.lineno, f"{number(node):#x} is defined in abi/"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield from assigned(target, node.value)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(asks(side) for side in sides) and any(number(side) for side in sides):
                yield node.lineno, "a comparison with a number"
        elif isinstance(node, ast.Call) and any(number(value) for value in expected(node)):
            yield node.lineno, "an exit reason, an errno or an offset by number"
        elif isinstance(node, ast.Constant) and re.fullmatch(r"(system|vm)/\d+", str(node.value)):
            yield node.lineno, "a capability by number"


def expected(call):
    """Yield the arguments of a call that are an exit reason, an errno, or an offset in kvm_run."""
    if isinstance(call.func, ast.Name) and call.func.id in ("Exits", "SetRunBytes"):
        yield from call.args[:1]
    yield from (word.value for word in call.keywords if word.arg == "errno")


def assigned(target, value):
    """Yield the lines of an assignment of a literal number to a name of TAKEN."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from assigned(one, other)
    elif isinstance(target, ast.Name) and number(value) is not None:
        name = target.id.lstrip("_").removeprefix("KVM_")
        if name in TAKEN:
            yield target.lineno, f"{target.id} is defined again"


def asks(node):
    """Return whether an expression is an exit reason, an errno, or the type of an event."""
    if isinstance(node, ast.Attribute):
        return node.attr in COMPARED
    call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "field"
    return call and len(node.args) == 1 and ast.unparse(node.args[0]) in ("'type'", "'exit_reason'")


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_second_definition(path):
    """No module of src or suites defines a number of the ABI again."""
    found = [f"line {line}: {how}" for line, how in second_definitions(ast.parse(path.read_text()))]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "EXIT_MMIO = 6",
        "_EXIT_MMIO, other = 6, 7",
        "_EINVAL: int = 22",
        "CAP_SYSTEM_EVENT_DATA = 215",
        "found.exit_reason == 24",
        "4 == raw.errno",
        "event.field('type') == 2",
        "Returns('open', errno=19)",
        "Exits(24)",
        "SetRunBytes(1, b'')",
        "Need('32-bit EL1', None, 'vm/93')",
        "function = 0x8400_0009",
    ],
)
def test_a_second_definition_is_found(text):
    """The search of this file finds each way to define a number again."""
    assert list(second_definitions(ast.parse(text)))


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.__name__)
def test_rows_differ(table):
    """No two members of a table have one number: an enumeration would silently make the second an alias."""
    assert len(table.__members__) == len(table)


def test_numbers_by_header_names():
    """NUMBERS has a name once, or once for each architecture, where the numbers differ."""
    found = {(constant.name, constant.arch): constant.value for constant in NUMBERS}
    assert len(found) == len(NUMBERS)
    assert found["KVM_EXIT_SYSTEM_EVENT", ""] == 24
    assert found["KVM_SET_GUEST_DEBUG", "arm64"] != found["KVM_SET_GUEST_DEBUG", "x86_64"]
    for name, arch in found:
        assert not arch or (name, "") not in found


def test_numbers_as_text():
    """A known number is shown with its name, an unknown one alone."""
    assert names.exit_reason(24) == "24 (SYSTEM_EVENT)"
    assert names.event_type(2) == "2 (RESET)"
    assert names.errno(22) == "22 (EINVAL)"
    assert (names.exit_reason(77), names.event_type(0xAAAAAAAA), names.errno(99)) == (
        "77",
        "0xaaaaaaaa",
        "99",
    )


def test_a_psci_function_names_its_fact():
    """The key of Facts.features has the function ID in it."""
    assert Function.SYSTEM_RESET2.fact == "psci.features.0x84000012"
