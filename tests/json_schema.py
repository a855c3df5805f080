"""A validator of JSON Schema, so that what msgspec publishes is checked by something else than msgspec."""

import re

_TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}
# fmt: off
_KEYWORDS = {
    "type", "title", "description", "default",
    "properties", "required", "additionalProperties", "propertyNames",
    "items", "prefixItems", "minItems", "maxItems",
    "minimum", "maximum", "pattern", "minLength", "maxLength",
}
# fmt: on


class JsonSchema:
    """Validates values by a schema. Takes the part of JSON Schema 2020-12 that msgspec writes."""

    def __init__(self, schema):
        self.root = schema

    def errors(self, value, schema=None, place="$"):
        """Return what is wrong with a value, each with its place; empty if it is valid."""
        schema = self.root if schema is None else schema
        if "$ref" in schema:
            return self.errors(value, self.root["$defs"][schema["$ref"].rpartition("/")[2]], place)
        if "discriminator" in schema:
            mapping = schema["discriminator"]["mapping"]
            return self.errors(value, {"$ref": mapping[value["record"]]}, place)
        if "anyOf" in schema:
            found = [self.errors(value, one, place) for one in schema["anyOf"]]
            return [] if not all(found) else found[0]
        if "enum" in schema:
            return [] if value in schema["enum"] else [f"{place}: {value!r}"]
        wanted = _TYPES[schema["type"]]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            return [f"{place}: {value!r} is not of type {schema['type']}"]
        return [
            error
            for check in (self._scalar, self._array, self._object)
            for error in check(value, schema, place)
        ]

    def _scalar(self, value, schema, place):
        assert schema.keys() <= _KEYWORDS
        if isinstance(value, str):
            good = re.search(schema.get("pattern", ""), value)
            good = good and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        else:
            good = not isinstance(value, int | float) or (
                schema.get("minimum", value) <= value <= schema.get("maximum", value)
            )
        return [] if good else [f"{place}: {value!r}"]

    def _array(self, value, schema, place):
        if not isinstance(value, list):
            return []
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return [f"{place}: {len(value)} items"]
        items = schema.get("prefixItems") or [schema["items"]] * len(value)
        return [
            error
            for number, (item, each) in enumerate(zip(value, items, strict=True))
            for error in self.errors(item, each, f"{place}[{number}]")
        ]

    def _object(self, value, schema, place):
        if not isinstance(value, dict):
            return []
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        found = [f"{place}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, item in value.items():
            each = known.get(name, others)
            found += self.errors(item, each, f"{place}.{name}") if each is not True else []
            if "propertyNames" in schema:
                found += self.errors(name, schema["propertyNames"], f"{place}.{name}")
        return found
