"""OpenPGP signatures checked by Sequoia's program sqv, where its library is not installed: pysequoia has no wheels for
riscv64. It is what apt 3 checks them with.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from sysevent.errors import BadSignature, ToolMissing
from sysevent.reading import read_file
from sysevent.text import one_line

# Seconds; 0.1 is usual.
_DEADLINE = 120


class SqvKeyring(msgspec.Struct, frozen=True):
    """OpenPGP certificates in a file that sqv reads."""

    path: Path

    @property
    def words(self) -> str:
        """What is known of it."""
        return "read by sqv"

    def content(self, signed: bytes, name: str) -> bytes:
        """Return the signed text of a clear-signed file; name is for messages.

        One good signature suffices, by a key that is neither expired nor revoked. BadSignature when the text is not to
        be used; ToolMissing without sqv, or if it cannot be run.
        """
        program = shutil.which("sqv")
        if program is None:
            raise ToolMissing(
                f"{name}: neither pysequoia nor sqv is installed to check its signature with: apt-get install sqv"
            )
        try:
            with tempfile.TemporaryDirectory(prefix="sysevent-") as folder:
                file, text = Path(folder, "signed"), Path(folder, "text")
                file.write_bytes(signed)
                words = [
                    program,
                    "--keyring",
                    str(self.path),
                    "--cleartext",
                    "--output",
                    str(text),
                    str(file),
                ]
                ran = subprocess.run(
                    words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_DEADLINE, check=False
                )
                # It cannot be longer than what it is in.
                content = b"" if ran.returncode else read_file(text, len(signed))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolMissing(
                f"{name}: its signature could not be checked with {program}: {error}"
            ) from error
        if ran.returncode:
            said = ran.stderr.decode("utf-8", "replace").partition("Stack backtrace")[0].strip()
            if "'--cleartext'" in said:
                raise ToolMissing(f"{name}: {program} is older than 1.3, and cannot read signed text")
            reason = one_line(said)[:200].rstrip(".") if said else f"exit code {ran.returncode}"
            raise BadSignature(
                f"{name} is not signed by a key in {self.path} ({reason}); "
                "the file was changed on the way, or the keyring is older than the archive"
            )
        return content
