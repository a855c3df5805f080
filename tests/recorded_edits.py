"""Edits of recorded observations: what a kernel with a small regression would have written."""

import struct

import msgspec

from sysevent.abi.registers import REGISTERS


def poke(offset, data, label="exit"):
    """Return an edit that writes bytes into kvm_run. An edit takes an observation, and returns a changed one."""

    def edit(seen):
        raw = seen.exits[label]
        head = raw.head[:offset] + data + raw.head[offset + len(data) :]
        return replace_exit(seen, label, head=head)

    return edit


def u32(offset, value, label="exit"):
    """Return an edit that writes four bytes into kvm_run."""
    return poke(offset, struct.pack("<I", value), label)


def u64(offset, value, label="exit"):
    """Return an edit that writes eight bytes into kvm_run."""
    return poke(offset, struct.pack("<Q", value), label)


def replace_exit(seen, label, **changes):
    """Return the observation with other fields in one of its exits."""
    exits = seen.exits | {label: msgspec.structs.replace(seen.exits[label], **changes)}
    return msgspec.structs.replace(seen, exits=exits)


def exit_(label="exit", **changes):
    """Return an edit of fields of a RawExit."""
    return lambda seen: replace_exit(seen, label, **changes)


def register(name, value, label="exit"):
    """Return an edit of a register of an exit."""

    def edit(seen):
        values = list(seen.exits[label].registers)
        values[REGISTERS[seen.arch].index(name)] = value
        return replace_exit(seen, label, registers=tuple(values))

    return edit


def answer(label, **changes):
    """Return an edit of fields of an Answer."""
    return lambda seen: msgspec.structs.replace(
        seen, answers=seen.answers | {label: msgspec.structs.replace(seen.answers[label], **changes)}
    )


def both(*edits):
    """Return the edit that is all of these, in their order."""

    def edit(seen):
        for one in edits:
            seen = one(seen)
        return seen

    return edit


def never_exits(label="exit"):
    """Return an edit after which the watchdog ended KVM_RUN, with exit reason INTR."""
    return both(u32(8, 10, label), exit_(label, ret=-1, errno=4, kicked=True, microseconds=3_000_000))
