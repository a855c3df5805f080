"""Downloads one file over HTTP: resumes an earlier attempt, retries network errors, verifies the content.

No other module opens a connection for an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import msgspec

from sysevent.digests import digest
from sysevent.errors import BadSignature, DownloadFailed, ImageError
from sysevent.images import unreachable
from sysevent.images.meter import Meter
from sysevent.model import Progress
from sysevent.text import one_line

if TYPE_CHECKING:
    import http.client

    import tenacity

    from sysevent.images.connection import Deadline

T = TypeVar("T")
_CHUNK = 1 << 17


class Gone(DownloadFailed):
    """The mirror has no such file (HTTP status 404 or 410)."""


class LengthMismatch(BadSignature):
    """The mirror's file has another length than the signed index says: another version, not a changed byte."""


class _Transient(DownloadFailed):
    """A failure that may pass: the connection broke or timed out, or the server was overloaded."""


class Expected(msgspec.Struct, frozen=True):
    """Size and hash of a file, from a signed index."""

    # Bytes.
    size: int
    sha256: str


class Downloader(msgspec.Struct, frozen=True):
    """Downloads files, with one set of proxies, retries and timeouts."""

    progress: Progress
    # Scheme -> URL; None: the proxies that the environment names.
    proxies: Mapping[str, str] | None = None
    attempts: int = 4
    # Value of the header of this name for the mirror; "": none.
    authorization: str = ""
    # Seconds before the second attempt; doubled before each further one, up to 10.
    pause: float = 0.5
    # Seconds without data from the server.
    timeout: float = 30.0
    # Bytes per second, with all attempts and pauses counted: a slower mirror counts as dead.
    slowest: float = 32_000.0
    # Seconds that a file may take besides, and at most.
    grace: float = 90.0
    longest: float = 7200.0

    def fetch(self, url: str, label: str, limit: int) -> bytes:
        """Return the content of a small file whose size and hash are not known yet.

        label names the file for progress. DownloadFailed when it has more than limit bytes, or cannot be obtained;
        Gone when the mirror has no such file.
        """

        def attempt(deadline: Deadline) -> bytes:
            with self._open(url, {}, deadline) as response:
                data = _body(response, limit + 1)
                if len(data) > limit:
                    raise DownloadFailed(f"{url} is longer than the {limit} bytes that such a file may have")
                return data

        def ask() -> bytes:
            self.progress(label)
            with self._deadline(limit) as deadline:
                return self._retry(url, attempt, deadline)

        return unreachable.asked(url, self.attempts, ask)

    def fetch_to(self, url: str, part: Path, expected: Expected, label: str) -> None:
        """Download url into the file part and verify its size and hash.

        If an earlier process left a part, the rest is asked for with a Range request. If the result does not
        verify, that part may be the cause, so the whole file is downloaded once more.

        Raises Gone, DownloadFailed, BadSignature (part is removed then), or ImageError when part cannot be
        written.
        """

        def attempt(deadline: Deadline) -> None:
            self._continue(url, part, expected, label, deadline)

        resumed = part.exists()
        with self._deadline(expected.size) as deadline:
            for _ in range(2 if resumed else 1):
                self._retry(url, attempt, deadline)
                if digest(part) == expected.sha256:
                    return
                part.unlink()
                if resumed:
                    self.progress(
                        f"{label}: the resumed download does not verify, starting again from the beginning"
                    )
        raise BadSignature(
            f"{url} does not have the SHA-256 of the signed index ({expected.sha256}); it was removed"
        )

    def _deadline(self, size: int) -> Deadline:
        """Return the deadline for a file of so many bytes; it begins now."""
        from sysevent.images.connection import Deadline

        return Deadline(min(self.longest, self.grace + size / self.slowest))

    def _continue(self, url: str, part: Path, expected: Expected, label: str, deadline: Deadline) -> None:
        have = part.stat().st_size if part.exists() else 0
        if have > expected.size:
            part.unlink()
            have = 0
        if have == expected.size:
            return
        with self._open(url, {"Range": f"bytes={have}-"} if have else {}, deadline) as response:
            if response.status == 206 and not _begins_at(response, have):
                part.unlink()
                raise _Transient(f"{url}: the server sent another range than requested")
            # A server may ignore the range and send the whole file (RFC 9110, 14.2).
            if response.status != 206:
                have = 0
            announced = _announced(response)
            if announced is not None and have + announced != expected.size:
                part.unlink(missing_ok=True)
                if have:
                    raise _Transient(
                        f"{url}: the rest on the server does not continue what was downloaded before"
                    )
                raise LengthMismatch(f"{url} has {announced} bytes, the signed index says {expected.size}")
            meter = Meter(self.progress, label, expected.size)
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

    def _open(self, url: str, headers: Mapping[str, str], deadline: Deadline) -> http.client.HTTPResponse:
        # Imported here and below: with TLS they take 15 ms, and most runs download nothing.
        import http.client
        import urllib.error
        import urllib.request

        from sysevent.images import connection

        request = urllib.request.Request(url, headers={"User-Agent": "sysevent", **headers})
        if self.authorization:
            # Not for the server that this one may redirect to.
            request.add_unredirected_header("Authorization", self.authorization)
        try:
            response = connection.opener(self.proxies, deadline).open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise Gone(f"{url}: the mirror does not have it ({error.code})") from None
            # The part is as long as the file on the server, or longer.
            if error.code == 416:
                raise _Transient(f"{url}: nothing to resume (416)") from None
            kind = _Transient if error.code >= 500 or error.code in (408, 429) else DownloadFailed
            raise kind(f"{url}: the mirror answered {error.code}") from None
        assert isinstance(response, http.client.HTTPResponse)
        return response

    def _retry(self, url: str, attempt: Callable[[Deadline], T], deadline: Deadline) -> T:
        import http.client
        import urllib.error

        import tenacity

        def once() -> T:
            try:
                result = attempt(deadline)
                # A connection that was ended in its headers looks like a complete answer.
                if deadline.passed:
                    raise _Transient(f"{url}: it is not complete")
                return result
            except urllib.error.URLError as error:
                why = getattr(error.reason, "strerror", None) or error.reason
                # Another attempt does not make a certificate verify.
                if "CERTIFICATE_VERIFY_FAILED" in str(error.reason):
                    raise DownloadFailed(
                        f"{url}: {why} (behind a proxy with certificates of its own, name their file in SSL_CERT_FILE)"
                    ) from None
                raise _Transient(f"{url}: {why}") from None
            except (OSError, http.client.HTTPException) as error:
                raise _Transient(f"{url}: {_words(error)}") from None
            # Of a redirect to what is not a URL.
            except ValueError as error:
                raise DownloadFailed(f"{url}: an invalid answer: {_words(error)}") from None

        def before(state: tenacity.RetryCallState) -> None:
            why = state.outcome.exception() if state.outcome else None
            self.progress(f"{why} (attempt {state.attempt_number} of {self.attempts})")

        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(_Transient),
                stop=lambda state: deadline.passed or state.attempt_number >= self.attempts,
                wait=tenacity.wait_exponential(multiplier=self.pause, min=self.pause, max=10),
                before_sleep=before,
                reraise=True,
            )(once)
        except _Transient as error:
            tried = f"{self.attempts} attempts"
            if deadline.passed:
                tried = f"given up after {deadline.seconds:.0f} s, since the mirror is too slow"
            raise DownloadFailed(
                f"{error} ({tried}); --mirror names another mirror, --offline uses the cache"
            ) from None


class _TooLong(Exception):
    pass


def _begins_at(response: http.client.HTTPResponse, offset: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """Return up to most bytes of the body; _Transient when it is shorter than announced."""
    data = bytearray()
    while len(data) < most and (chunk := _read(response, min(_CHUNK, most - len(data)))):
        data += chunk
    announced = _announced(response)
    if announced is not None and len(data) < min(most, announced):
        raise _Transient(f"{response.url}: the connection ended after {len(data)} of {announced} bytes")
    return bytes(data)


def _copy(response: http.client.HTTPResponse, file: IO[bytes], have: int, size: int, meter: Meter) -> None:
    while chunk := _read(response, _CHUNK):
        have += len(chunk)
        if have > size:
            raise _TooLong
        file.write(chunk)
        meter.at(have)


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    """Return the next bytes; _Transient when the connection breaks.

    OSError is caught here and not around the loops, where a full disk would look like a network error.
    """
    import http.client

    try:
        # As much as has arrived: read() would wait for all of it, however slowly it comes.
        return response.read1(most)
    # ValueError: of a chunk without a valid size.
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _Transient(f"{response.url}: {_words(error)}") from None


def _announced(response: http.client.HTTPResponse) -> int | None:
    """Return the length that the server announced; None without a usable one."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _words(error: Exception) -> str:
    """Return a server's error in one short line: it can quote what the server sent."""
    return one_line(error)[:200] if str(error) else type(error).__name__
