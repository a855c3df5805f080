"""Mutants that no user of KVM can tell from the original, listed by hand with the reason."""

from __future__ import annotations

import importlib.resources

import msgspec

from sysevent.arches import ARCHITECTURES
from sysevent.sensitivity.mutants import Mutant

# Whatever is done to the line, because it is not reached.
ANY = "any"


class Equivalent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mutant, named by its text, so that it stays the same when lines above it change."""

    # Path in the tree.
    file: str
    # As Region.name.
    function: str
    # A key of operators.OPERATORS, or ANY.
    operator: str
    # The line without indentation: as it is, and changed.
    before: str
    # Why no user of KVM can see it. One sentence, without a period.
    reason: str
    # Needed if the operator changes the line in several ways.
    after: str = ""
    # The line above with more than white space, or up to three. Needed if the function has the same line twice.
    above: str = ""

    def is_(self, mutant: Mutant) -> bool:
        """Whether it is this mutant."""
        return (
            (self.file, self.function, self.before) == (mutant.file, mutant.function, mutant.before)
            and self.operator in (ANY, mutant.operator)
        ) and (
            self.after in ("", mutant.after)
            and (not self.above or f"\n{mutant.above}".endswith(f"\n{self.above}"))
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    equivalent: tuple[Equivalent, ...] = ()


def load() -> tuple[Equivalent, ...]:
    """Return the list, from the files equivalent_<arch>.toml."""
    folder = importlib.resources.files("sysevent.sensitivity")
    texts = (folder.joinpath(f"equivalent_{arch}.toml").read_bytes() for arch in ARCHITECTURES)
    return tuple(row for text in texts for row in msgspec.toml.decode(text, type=_File).equivalent)


def reason(mutant: Mutant, known: tuple[Equivalent, ...]) -> str:
    """Return why a mutant is equivalent; "" if it is not listed."""
    return next((one.reason for one in known if one.is_(mutant)), "")
