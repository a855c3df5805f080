"""Downloads through apt's own methods: mirrors that need a password, a certificate, or another protocol than HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import msgspec

from sysevent.digests import digest
from sysevent.errors import BadSignature, DownloadFailed
from sysevent.images.debian.apt import HELPER, shown
from sysevent.images.download import Expected, Gone
from sysevent.model import Progress
from sysevent.process import die_with_parent
from sysevent.text import one_line

# How apt's methods say that a file does not exist: http, then file and copy.
_ABSENT = re.compile(r"\b(?:404|410)  |File not found|Failed to stat")


class AptHelper(msgspec.Struct, frozen=True):
    """Downloads files as apt does. It has the methods of Downloader."""

    progress: Progress
    program: str = HELPER
    # Bytes per second: a slower mirror counts as dead.
    slowest: float = 32_000.0
    # Seconds that a file may take besides, and at most.
    grace: float = 90.0
    longest: float = 7200.0

    def fetch(self, url: str, label: str, limit: int) -> bytes:
        """Return the content of a small file. Raises Gone, and DownloadFailed if it has more than limit bytes."""
        self.progress(label)
        with tempfile.TemporaryDirectory(prefix="sysevent-apt-") as folder:
            file = Path(folder, "file")
            self._run(url, file, label, limit, None)
            if file.stat().st_size > limit:
                raise DownloadFailed(f"{url} is longer than the {limit} bytes that such a file may have")
            return file.read_bytes()

    def fetch_to(self, url: str, part: Path, expected: Expected, label: str) -> None:
        """Download url into the file part, and verify its size and hash.

        Raises Gone, DownloadFailed, and BadSignature (part is removed then).
        """
        self._run(url, part, label, expected.size, expected.size)
        if part.stat().st_size != expected.size or digest(part) != expected.sha256:
            part.unlink()
            raise BadSignature(
                f"{url} does not have the SHA-256 of the signed index ({expected.sha256}); it was removed"
            )

    def _run(self, url: str, file: Path, label: str, size: int, total: int | None) -> None:
        # file: would give a link; copy: is the same with a copy.
        asked = f"copy:{url.removeprefix('file:')}" if url.startswith("file:") else url
        seconds = min(self.longest, self.grace + size / self.slowest)
        words = [self.program, "-q", "-o", "Acquire::Retries=3", "download-file", asked, str(file)]
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    die_with_parent(words),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    env=os.environ | {"LC_ALL": "C.UTF-8"},
                    start_new_session=True,
                )
            except OSError as error:
                raise DownloadFailed(
                    f"{shown(url)}: only apt can fetch it, and {self.program} cannot be run: {error.strerror}; "
                    "--mirror names another mirror"
                ) from None
            try:
                slow = self._wait(process, file, label, seconds, total)
            finally:
                process.kill()
                process.wait()
            said.seek(0)
            words_of_apt = said.read(1 << 16).decode("utf-8", "replace")
        if not process.returncode and file.is_file():
            return
        lines = [line[3:] for line in words_of_apt.splitlines() if line.startswith("E: ")]
        why = shown(one_line(lines[0]))[:300] if lines else f"exit code {process.returncode}"
        if slow:
            why = f"given up after {seconds:.0f} s, since the mirror is too slow"
        kind = Gone if _ABSENT.search(words_of_apt) else DownloadFailed
        raise kind(f"{shown(url)}: apt: {why}; --mirror names another mirror, --offline uses the cache")

    def _wait(
        self, process: subprocess.Popen[bytes], file: Path, label: str, seconds: float, total: int | None
    ) -> bool:
        """Wait for apt, with a line of progress now and then; return whether it took too long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                if total is not None and file.exists():
                    self.progress(f"{label} {file.stat().st_size / 1e6:.1f} of {total / 1e6:.1f} MB")
            else:
                return False
        return True
