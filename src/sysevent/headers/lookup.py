"""Finds the structure that a user names, or a member that is a structure itself. No I/O."""

from __future__ import annotations

from sysevent.decode.structs import Layout, Leaf, Struct, find, leaves
from sysevent.errors import UsageError

# More members than this are not readable in one drawing.
_MEMBERS_MAX = 48


def lookup(layout: Layout, name: str) -> tuple[tuple[Leaf, ...], int, int]:
    """Return the members of `kvm_xen_exit`, or of `kvm_run.system_event`, with the range of their offsets.

    The range is half-open. Members of anonymous structures are given one by one, unless there are too many to draw.
    UsageError when the layout has no such structure or member.
    """
    struct_name, _, path = name.removeprefix("struct ").partition(".")
    struct = layout.structs.get(struct_name)
    if struct is None:
        close = [known for known in layout.structs if struct_name.removeprefix("kvm_") in known]
        hint = f"; did you mean {', '.join(sorted(close)[:5])}?" if close else ""
        raise UsageError(f"these headers have no struct {struct_name}{hint}")
    if not path:
        inside = tuple(leaves(struct))
        return (_coarse(struct) if len(inside) > _MEMBERS_MAX else inside), 0, struct.size
    whole = find(struct, path, layout.structs)
    if whole is None:
        raise UsageError(f"struct {struct_name} has no member {path} in these headers")
    inside = tuple(
        leaf
        for leaf in leaves(struct, layout.structs)
        if leaf.path == path or leaf.path.startswith((f"{path}.", f"{path}[]"))
    )
    return inside, whole.offset, whole.end


def _coarse(struct: Struct) -> tuple[Leaf, ...]:
    """Return the members of a structure, with each structure among them as one member."""
    found: dict[str, Leaf] = {}
    for leaf in leaves(struct):
        name = leaf.path.partition(".")[0].removesuffix("[]")
        if (whole := find(struct, name)) is not None:
            found[name] = whole
    return tuple(found.values())
