"""What one target will be asked in a run, and what of it has no answer yet."""

from __future__ import annotations

from collections.abc import Iterable

from sysevent.engine.question import Key, Plan


class Planned:
    """The questions of a plan, by their keys. They are known once the facts of the target are."""

    def __init__(self, plan: Plan | None = None, *, complete: bool = False) -> None:
        """complete: True if the plan returns every question: the guest need not run on after the last answer."""
        # None once its questions are known.
        self.plan = plan
        self._complete = complete and plan is not None
        self.unanswered = set[Key]()
        self._count = 0

    @property
    def count(self) -> int | None:
        """How many questions there are; None: not known yet."""
        return self._count if self.plan is None else None

    @property
    def finished(self) -> bool:
        """True if all questions of a complete plan are answered."""
        return self._complete and self.plan is None and not self.unanswered

    def awaits(self, key: Key | None) -> bool:
        """Whether a question has no answer yet; None: any question."""
        return bool(self.unanswered) if key is None else key in self.unanswered

    def add(self, keys: Iterable[Key]) -> None:
        """Add questions, each of which is new."""
        before = len(self.unanswered)
        self.unanswered.update(keys)
        self._count += len(self.unanswered) - before

    def answered(self, key: Key) -> None:
        """Remove a question that has its answer, or an error in its place."""
        self.unanswered.discard(key)

    def cannot_be_followed(self) -> None:
        """Keep the guest after the last answer: not every question could be prefetched."""
        self._complete = False
