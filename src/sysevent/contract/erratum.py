"""What an erratum is: a known defect of kernels, with exactly what it gets wrong. No I/O."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import msgspec

from sysevent.contract import kernel_release
from sysevent.contract.kernel_release import Releases
from sysevent.contract.terms import Terms
from sysevent.model import Facts, Mismatch


class Symptom(msgspec.Struct, frozen=True):
    """One field that a kernel with the defect gets wrong. `*` in both matches any text."""

    # Mismatch.what.
    what: str
    # Mismatch.got.
    got: str

    def explains(self, wrong: Mismatch) -> bool:
        """Return whether a mismatch is this symptom."""
        return _matches(self.what, wrong.what) and _matches(self.got, wrong.got)


class Erratum(msgspec.Struct, frozen=True, kw_only=True):
    """A defect of released kernels."""

    # For reports and links: lower-case words with hyphens.
    id: str
    # Names of the claims that it breaks; `*` matches any text.
    claims: tuple[str, ...]
    # The only ABI of the VMM that it shows for; "": every ABI.
    abi: str = ""
    # What KVM does wrong, in one sentence without a full stop.
    says: str
    # The releases that have the defect from then on, by series: see kernel_release.Releases.
    since: Releases
    # The releases that have the repair; none if there is no repair.
    fixed: Releases = ()
    # The mode of KVM that has the defect, by the names of hosts/traits.py; `*` matches any text. One that is not known
    # is another one.
    mode: dict[str, str] = {}
    # Where the defect is known from: a commit, a CVE, a thread, or a function of the kernel.
    source: str
    # The repair in words, with its commit if it has one.
    fix: str
    # Exactly these fields fail, each at least once.
    fails: tuple[Symptom, ...]
    # For a claim about many scenarios: the one that shows the defect.
    scenario: str = ""
    # Kernels on which it was seen.
    seen: tuple[str, ...]
    # Lines of a failure on such a kernel, with the bytes.
    evidence: str

    def about(self, claim: str, abi: str) -> bool:
        """Return whether the erratum is about a claim, for VMMs of an ABI."""
        return self.abi in ("", abi) and any(_matches(name, claim) for name in self.claims)

    def affects(self, facts: Facts, terms: Terms) -> bool:
        """Return whether a kernel has the defect by its release and mode.

        False if they do not decide that, or if --floor demands the repair.
        """
        release = kernel_release.version(facts.release)
        if release is None or any(one[:2] <= terms.floor for one in self.fixed if len(one) == 2):
            return False
        if not all(_matches(value, facts.mode.get(name, "")) for name, value in self.mode.items()):
            return False
        has, repaired = (kernel_release.contains(one, release) for one in (self.since, self.fixed))
        return has is True and repaired is False

    def explains(self, wrong: Sequence[Mismatch]) -> bool:
        """Return whether what is wrong is what the erratum says, no more and no less."""
        return all(any(one.explains(mismatch) for one in self.fails) for mismatch in wrong) and all(
            any(one.explains(mismatch) for mismatch in wrong) for one in self.fails
        )


def _matches(pattern: str, text: str) -> bool:
    """Return whether text is the pattern; only `*` is special, because names of fields have brackets."""
    return _expression(pattern).fullmatch(text) is not None


@functools.cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
