"""Values of any type with a hostile string wherever the type permits one."""

import functools
from typing import Any

import msgspec
from msgspec import inspect as types

# A colour, a title, a cursor in front of the line, one byte instead of an escape, text from right to left, a line of
# its own that looks like a verdict, and half a surrogate pair, which is how Python holds a byte that is not UTF-8.
HOSTILE = "\x1b[31m\x1b]0;title\x07\r\x9b2J\u202e\x00\x7f\nPASS kvm.system_event.all\udc80"
HEAD = 640


def hostile(kind: Any) -> Any:
    """A value of a type."""
    return msgspec.convert(_value(types.type_info(kind)), kind)


@functools.singledispatch
def _value(described: types.Type) -> Any:
    raise NotImplementedError(described)


@_value.register
def _(described: types.StrType) -> str:
    if described.pattern is None:
        return HOSTILE
    return "5a" * ((described.min_length or 2) // 2)


@_value.register(types.LiteralType)
def _(described: types.LiteralType) -> Any:
    return described.values[0]


@_value.register(types.EnumType)
def _(described: types.EnumType) -> Any:
    return next(iter(described.cls)).value


@_value.register(types.IntType)
def _(described: types.IntType) -> int:
    return 1


@_value.register(types.FloatType)
def _(described: types.FloatType) -> float:
    return 1.5


@_value.register(types.BoolType)
def _(described: types.BoolType) -> bool:
    return True


@_value.register(types.StructType)
def _(described: types.StructType) -> dict[str, Any]:
    found = {field.encode_name: _value(field.type) for field in described.fields}
    tag = described.cls.__struct_config__.tag
    return found if tag is None else {described.cls.__struct_config__.tag_field: tag} | found


@_value.register(types.DictType)
def _(described: types.DictType) -> dict[Any, Any]:
    return {_value(described.key_type): _value(described.value_type)}


@_value.register(types.VarTupleType)
def _(described: types.VarTupleType) -> list[Any]:
    return [_value(described.item_type)]


@_value.register(types.TupleType)
def _(described: types.TupleType) -> list[Any]:
    return [_value(item) for item in described.item_types]


@_value.register(types.UnionType)
def _(described: types.UnionType) -> Any:
    return _value(next(one for one in described.types if not isinstance(one, types.NoneType)))
