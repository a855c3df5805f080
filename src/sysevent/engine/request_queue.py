"""The requests to one target that are not sent yet, in the order in which they will be."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set

from sysevent.engine.question import Key
from sysevent.engine.request import Request


class RequestQueue:
    """Requests whose answers are waited for, and behind them those that are prefetched."""

    def __init__(self) -> None:
        self._required: deque[Request] = deque()
        self._prefetched: deque[Request] = deque()
        self._no_prefetch = False

    def __bool__(self) -> bool:
        """True if a request is queued."""
        return bool(self._required or self._prefetched)

    def pop(self) -> Request:
        """Remove the next request, and return it; IndexError if there is none."""
        return (self._required or self._prefetched).popleft()

    def require(self, request: Request) -> None:
        """Queue a request before those that are prefetched, of which one with the same key is removed."""
        if request.key is not None:
            self._prefetched = deque(other for other in self._prefetched if other.key != request.key)
        self._required.append(request)

    def require_none(self) -> None:
        """Remove the requests whose answers are waited for."""
        self._required.clear()

    def prefetch(self, requests: Iterable[Request], unanswered: Set[Key | None]) -> None:
        """Queue requests, except those that are required or have one of the keys; none after stop_prefetch()."""
        known = unanswered | {request.key for request in self._required}
        if not self._no_prefetch:
            self._prefetched.extend(request for request in requests if request.key not in known)

    def stop_prefetch(self) -> None:
        """Remove prefetched requests, and ignore those of later calls of prefetch()."""
        self._prefetched.clear()
        self._no_prefetch = True
