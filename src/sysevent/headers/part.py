"""What a user names to look at: a structure, or a member of one that is a structure itself. No I/O."""

from __future__ import annotations

from sysevent.decode.structs import Layout, Leaf, Struct, find, leaves
from sysevent.errors import UsageError

_CROWDED = 48  # members, more of which nobody can read in one drawing


def view(layout: Layout, name: str) -> tuple[tuple[Leaf, ...], int, int]:
    """The members of `kvm_xen_exit`, or of `kvm_run.system_event`, and the bytes they lie in.

    UsageError when there is no such structure or member.
    """
    struct_name, _, path = name.removeprefix("struct ").partition(".")
    struct = layout.structs.get(struct_name)
    if struct is None:
        close = [known for known in layout.structs if struct_name.removeprefix("kvm_") in known]
        hint = f"; did you mean {', '.join(sorted(close)[:5])}?" if close else ""
        raise UsageError(f"these headers have no struct {struct_name}{hint}")
    if not path:
        inside = tuple(leaves(struct))
        return (_coarse(struct) if len(inside) > _CROWDED else inside), 0, struct.size
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
    """Its members with the anonymous structures among them in one piece, each by its name."""
    found: dict[str, Leaf] = {}
    for leaf in leaves(struct):
        name = leaf.path.partition(".")[0].removesuffix("[]")
        if (whole := find(struct, name)) is not None:
            found[name] = whole
    return tuple(found.values())
