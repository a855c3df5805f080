"""The documentation of run.jsonl and its JSON Schema, made from the structs in records.py and their docstrings.

    python -m sysevent.report.schema_page > docs/run-jsonl.md
    python -m sysevent.report.schema_page json > docs/run.schema.json

The docstring of a field is the string below it. Python discards it, so it costs no time at start-up, and this module
reads it from the source.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import typing

import msgspec
from msgspec import inspect as types

from sysevent.report import records

_HEAD = """# run.jsonl

Every run of `sysevent` or `pytest suites` writes `run.jsonl` into its results directory (`--results DIR`, else
`results/<time>`, with a link `results/latest`). All reports are made from it: `sysevent report`, `sysevent diff`.

This page is made from `src/sysevent/report/records.py`, by
`python -m sysevent.report.schema_page > docs/run-jsonl.md`. The type *object of T* is an object with any keys and with
values of type T. [run.schema.json](run.schema.json) is the same as a JSON Schema (draft 2020-12) of one line of the
file, for validators and generators of code. It permits fields that it does not know, but not other kinds of records.
"""

_SCALARS: dict[type[types.Type], str] = {
    types.StrType: "string",
    types.IntType: "integer",
    types.FloatType: "number",
    types.BoolType: "boolean",
    types.NoneType: "null",
}


def page() -> str:
    """Return the page as Markdown."""
    kinds = typing.get_args(records.Record)
    parts = [
        _HEAD,
        "## Rules\n",
        f"{inspect.getdoc(records)}\n",
        f"The current schema is {records.SCHEMA}.\n",
    ]
    for kind in kinds:
        parts += [f"## `{kind.__struct_config__.tag}`\n", *section(kind)]
    for part in _parts(kinds):
        parts += [f"## {part.__name__}\n", *section(part)]
    return "\n".join(parts)


def schema() -> str:
    """Return the JSON Schema of a record, with the descriptions of the page."""
    found = msgspec.json.schema(records.Record)
    kinds = typing.get_args(records.Record)
    for struct in (*kinds, *_parts(kinds)):
        properties = found["$defs"][struct.__name__]["properties"]
        for name, text in _field_docs(struct).items():
            properties[name]["description"] = text
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of run.jsonl, schema {records.SCHEMA}",
    }
    return json.dumps(head | found, indent=1) + "\n"


def section(struct: type[msgspec.Struct]) -> list[str]:
    """Return the description of a struct and the table of its fields."""
    meanings = _field_docs(struct)
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for field in _struct_type(struct).fields:
        meaning = meanings[field.name]
        if not field.required:
            default = {} if field.default is msgspec.NODEFAULT else field.default
            meaning += f" Absent in older runs: the same as `{msgspec.json.encode(default).decode()}`."
        rows.append(f"| `{field.encode_name}` | {_type(field.type)} | {meaning} |")
    return [f"{inspect.getdoc(struct)}\n", "\n".join(rows) + "\n"]


def _parts(kinds: tuple[type[msgspec.Struct], ...]) -> list[type[msgspec.Struct]]:
    """Return the structs that are values in the fields of records."""
    found = (_value(field.type) for kind in kinds for field in _struct_type(kind).fields)
    return list(dict.fromkeys(value.cls for value in found if isinstance(value, types.StructType)))


def _struct_type(struct: type[msgspec.Struct]) -> types.StructType:
    described = types.type_info(struct)
    assert isinstance(described, types.StructType)
    return described


def _value(described: types.Type) -> types.Type:
    """Return the type of an object's values, or the type itself if it is not an object of any keys."""
    return described.value_type if isinstance(described, types.DictType) else described


def _type(described: types.Type) -> str:
    """Return a type in words, as JSON has it."""
    match described:
        case types.StructType(cls=cls):
            return f"[{cls.__name__}](#{cls.__name__.lower()})"
        case types.DictType(value_type=value):
            return f"object of {_type(value)}"
        case types.VarTupleType(item_type=item):
            return f"array of {_type(item)}"
        case types.TupleType(item_types=items):
            return f"[{', '.join(map(_type, items))}]"
        case types.UnionType(types=members):
            return " or ".join(map(_type, members))
    return _scalar(described)


def _scalar(described: types.Type) -> str:
    """Return a type without parts in words."""
    match described:
        case types.EnumType(cls=cls):
            return ", ".join(f'`"{member.value}"`' for member in cls)
        case types.StrType(pattern=str(), min_length=int(length)):
            return f"string of {length} hexadecimal digits"
        case types.StrType(pattern=str()):
            return "string of hexadecimal digits"
        case types.IntType(ge=0, le=int(last)):
            return f"integer from 0 to {last}"
    least = " ≥ 0" if getattr(described, "ge", None) == 0 else ""
    return _SCALARS[type(described)] + least


def _field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstring of each field of a struct. A field without one is left out."""
    (definition,) = ast.parse(inspect.getsource(struct)).body
    assert isinstance(definition, ast.ClassDef)
    docs = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
    return docs


if __name__ == "__main__":
    sys.stdout.write(schema() if sys.argv[1:] == ["json"] else page())
