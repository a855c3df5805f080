"""Fetching one file over HTTP: resumed where it stopped, retried when the network is at fault, never trusted.

The only place that opens a connection for an image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from sysevent.cache import digest
from sysevent.errors import BadSignature, DownloadFailed, ImageError
from sysevent.model import Progress

if TYPE_CHECKING:
    import http.client

    import tenacity

T = TypeVar("T")
_CHUNK = 1 << 17


class Gone(DownloadFailed):
    """The mirror says that it has no such file (404, 410)."""


class OtherLength(BadSignature):
    """The mirror's file is not a changed one but another one: its length is not the signed index's."""


class _Transient(DownloadFailed):
    """Worth another try: the connection broke, timed out, or the server was overloaded."""


class Expected(msgspec.Struct, frozen=True):
    """What a signed index says about a file."""

    size: int
    sha256: str


class Downloader(msgspec.Struct, frozen=True):
    """How to reach mirrors from this machine."""

    progress: Progress
    proxies: Mapping[str, str] | None = None  # scheme -> URL; None: what the environment says
    attempts: int = 4
    pause: float = 0.5  # seconds before the second attempt, doubled before each further one
    timeout: float = 30.0  # seconds of silence

    def fetch(self, url: str, label: str, limit: int) -> bytes:
        """The bytes of a small file about which nothing is known yet; DownloadFailed when there are more."""

        def attempt() -> bytes:
            with self._open(url, {}) as response:
                data = _body(response, limit + 1)
                if len(data) > limit:
                    raise DownloadFailed(f"{url} is longer than {limit} bytes: not what it should be")
                return data

        self.progress(label)
        return self._retry(url, attempt)

    def fetch_to(self, url: str, part: Path, expected: Expected, label: str) -> None:
        """Complete the file part from url, and check it.

        Raises Gone, DownloadFailed, or BadSignature (then part is removed). What an earlier process left in
        part is taken up with a Range request; when the result does not verify, that part may be at fault, so
        the whole file is fetched once more.
        """
        resumed = part.exists()
        for _ in range(2 if resumed else 1):
            self._retry(url, lambda: self._continue(url, part, expected, label))
            if digest(part) == expected.sha256:
                return
            part.unlink()
            if resumed:
                self.progress(f"{label}: the half-finished download does not verify, starting afresh")
        raise BadSignature(
            f"{url} does not have the SHA-256 of the signed index ({expected.sha256}); it was thrown away"
        )

    def _continue(self, url: str, part: Path, expected: Expected, label: str) -> None:
        have = part.stat().st_size if part.exists() else 0
        if have > expected.size:
            part.unlink()
            have = 0
        if have == expected.size:
            return
        with self._open(url, {"Range": f"bytes={have}-"} if have else {}) as response:
            if response.status == 206 and not _begins_at(response, have):
                part.unlink()
                raise _Transient(f"{url}: the server sent another range than was asked for")
            if response.status != 206:  # the server ignored the range, as it may
                have = 0
            announced = response.headers.get("Content-Length", "")
            if announced.isdecimal() and have + int(announced) != expected.size:
                part.unlink(missing_ok=True)
                if have:
                    raise _Transient(f"{url}: the rest on the server does not fit what is already here")
                raise OtherLength(f"{url} has {announced} bytes, the signed index says {expected.size}")
            meter = _Meter(self.progress, label, expected.size)
            try:
                with part.open("ab" if have else "wb") as file:
                    _copy(response, file, have, expected.size, meter)
            except _TooLong:
                part.unlink()
                raise BadSignature(
                    f"{url} is longer than the {expected.size} bytes of the signed index"
                ) from None
            except OSError as error:
                raise ImageError(f"cannot write {part}: {error.strerror}") from error
        got = part.stat().st_size
        if got < expected.size:
            raise _Transient(f"{url}: the connection ended after {got} of {expected.size} bytes")

    def _open(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        import http.client  # here, as below: with TLS they take 15 ms, and most runs download nothing
        import urllib.error
        import urllib.request

        handler = urllib.request.ProxyHandler(None if self.proxies is None else dict(self.proxies))
        request = urllib.request.Request(url, headers={"User-Agent": "sysevent", **headers})
        try:
            response = urllib.request.build_opener(handler).open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise Gone(f"{url}: the mirror does not have it ({error.code})") from None
            if error.code == 416:  # our part is as long as, or longer than, the file
                raise _Transient(f"{url}: nothing to resume (416)") from None
            kind = _Transient if error.code >= 500 or error.code in (408, 429) else DownloadFailed
            raise kind(f"{url}: the mirror answered {error.code}") from None
        assert isinstance(response, http.client.HTTPResponse)
        return response

    def _retry(self, url: str, attempt: Callable[[], T]) -> T:
        import http.client
        import urllib.error

        import tenacity

        def once() -> T:
            try:
                return attempt()
            except urllib.error.URLError as error:
                why = getattr(error.reason, "strerror", None) or error.reason
                # A certificate that does not verify will not do so in a second either.
                kind = DownloadFailed if "CERTIFICATE_VERIFY_FAILED" in str(error.reason) else _Transient
                raise kind(f"{url}: {why}") from None
            except (OSError, http.client.HTTPException) as error:
                raise _Transient(f"{url}: {error or type(error).__name__}") from None

        def before(state: tenacity.RetryCallState) -> None:
            why = state.outcome.exception() if state.outcome else None
            self.progress(f"{why} (attempt {state.attempt_number} of {self.attempts})")

        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(_Transient),
                stop=tenacity.stop_after_attempt(self.attempts),
                wait=tenacity.wait_exponential(multiplier=self.pause, min=self.pause, max=10),
                before_sleep=before,
                reraise=True,
            )(once)
        except _Transient as error:
            raise DownloadFailed(
                f"{error} ({self.attempts} attempts); --mirror names another mirror, --offline uses the cache"
            ) from None


class _TooLong(Exception):
    pass


def _begins_at(response: http.client.HTTPResponse, offset: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """Up to most bytes; a body shorter than announced counts as a broken connection."""
    data = bytearray()
    while len(data) < most and (chunk := _read(response, min(_CHUNK, most - len(data)))):
        data += chunk
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and len(data) < min(most, int(announced)):
        raise _Transient(f"{response.url}: the connection ended after {len(data)} of {announced} bytes")
    return bytes(data)


def _copy(response: http.client.HTTPResponse, file: IO[bytes], have: int, size: int, meter: _Meter) -> None:
    while chunk := _read(response, _CHUNK):
        have += len(chunk)
        if have > size:
            raise _TooLong
        file.write(chunk)
        meter.at(have)


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    """The next bytes; here and not around the loops, where a full disk would look like a broken network."""
    import http.client

    try:
        return response.read(most)
    except (OSError, http.client.HTTPException) as error:
        raise _Transient(f"{response.url}: {error or type(error).__name__}") from None


class _Meter(msgspec.Struct):
    """Reports bytes every half second, and at the end."""

    progress: Progress
    label: str
    total: int
    when: float = msgspec.field(default_factory=time.monotonic)

    def at(self, have: int) -> None:
        now = time.monotonic()
        if have < self.total and now - self.when < 0.5:
            return
        self.when = now
        self.progress(f"{self.label} {have / 1e6:.1f} of {self.total / 1e6:.1f} MB")
