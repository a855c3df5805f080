"""Locks of this machine: files with flock(2), shared by all its users, and never stale.

The kernel drops a flock when its process ends, however it ends. The file also has a note about the holder, which is
for people only: nothing depends on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import stat
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from sysevent.errors import NotLeased
from sysevent.text import printable

# Bytes of a file that are read: other users can write to it.
_NOTE_MAX = 4096
# Characters of a command line that messages show.
_SHOWN = 80


def directory() -> Path:
    """Return the directory of locks that all users of this machine share.

    It must not depend on the user, as TMPDIR and XDG_RUNTIME_DIR do.
    """
    shared = Path("/run/lock")
    with contextlib.suppress(OSError):
        if shared.stat().st_mode & stat.S_IWOTH:
            return shared / "sysevent"
    return Path("/tmp/sysevent-locks")


class Lock:
    """A lock that this process holds, until it is released or the process ends."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self.path = path

    def write(self, note: dict[str, object]) -> None:
        """Write the note: the given entries, and pid, user, time and command of this process."""
        holder = {
            "pid": os.getpid(),
            "user": user_name(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": " ".join([_command(), *sys.argv[1:]])[:1000],
        }
        text = json.dumps(holder | note).encode()[:_NOTE_MAX]
        # The note is for people only: the lock is valid without it, as on a full disk.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def read(self) -> dict[str, object]:
        """Return the note of the last holder; empty if that one released the lock."""
        return _parsed(os.pread(self._fd, _NOTE_MAX, 0))

    def release(self, *, keep_note: bool = False) -> None:
        """Release the lock; further calls do nothing. keep_note: True leaves the note in the file."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            if not keep_note:
                os.ftruncate(fd, 0)
        # This releases the flock, too: no child inherits the descriptor.
        os.close(fd)


class Locks:
    """The locks of one directory."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or directory()
        self._is_default = folder is None

    def take(self, name: str, note: dict[str, object] | None = None) -> Lock | None:
        """Take a lock without waiting; None if another process has it. note is written into the file.

        NotLeased when the file cannot be created, opened or locked.
        """
        path = self._path(name)
        try:
            fd = self._open(path)
        except OSError as error:
            raise NotLeased(
                f"cannot use the lock file {path}: {error.strerror or error}; "
                "set SYSEVENT_LOCKS to a directory that all its users can write to"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return None
            raise NotLeased(
                f"cannot lock {path}: {error.strerror}; a network file system may not support flock: "
                "set SYSEVENT_LOCKS to a local directory"
            ) from error
        lock = Lock(fd, path)
        if note is not None:
            lock.write(note)
        return lock

    def holder(self, name: str) -> str:
        """Return who has a lock, in words: the note, or "another process" if there is none."""
        note: dict[str, object] = {}
        with contextlib.suppress(OSError):
            fd = self._open(self._path(name))
            note = _parsed(os.pread(fd, _NOTE_MAX, 0))
            os.close(fd)
        if not note:
            return "another process"
        since = str(note.get("since", "?"))[11:19]
        text = f"pid {note.get('pid')} of {note.get('user')} since {since}: {note.get('command')}"
        # Other users wrote it, and it is shown on a terminal.
        return printable(text)[: _SHOWN + 40]

    def held(self, name: str) -> bool:
        """Return whether another process has the lock at the moment."""
        lock = self.take(name)
        if lock is None:
            return True
        lock.release(keep_note=True)
        return False

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names, with this prefix, of all locks that were ever taken and whose files exist."""
        for path in sorted(self.folder.glob(f"{quote(prefix, safe='')}*.lock")):
            yield path.name.removesuffix(".lock")

    def _path(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='%@:+')}.lock"

    def _open(self, path: Path) -> int:
        """Open a lock's file, readable and writable for all users.

        Any of them can put links and special files into the directory; OSError for those.
        """
        if self._is_default and self.folder.is_symlink():
            raise OSError(0, f"{self.folder} is a symbolic link, which this program does not create")
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = None
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, flags)
        if fd is None:
            self._make_folder()
            # Another user's file in a sticky directory cannot be opened with O_CREAT (sysctl
            # fs.protected_regular): either create it, or open it without that flag.
            try:
                fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                # The mode of open() is subject to the umask.
                os.fchmod(fd, 0o666)
            except FileExistsError:
                fd = os.open(path, flags)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.close(fd)
            raise OSError(0, f"{path} is not a regular file with one name")
        return fd

    def _make_folder(self) -> None:
        if self.folder.is_dir():
            return
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o1777)


def _parsed(data: bytes) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        note = json.loads(data)
        if isinstance(note, dict):
            return note
    return {}


def _command() -> str:
    """Return the name of this process's program: for `python -m pytest`, that of the package."""
    script = Path(sys.argv[0])
    return script.parent.name if script.name == "__main__.py" else script.name


def user_name() -> str:
    """Return the login name of this process's user; the number if it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
