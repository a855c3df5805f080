"""Files that say who uses what on this machine: flock, shared by all its users, and never stale.

The kernel drops a flock when its process ends, however it ends. Who has one is written into the file, for people
only: what counts is the flock.
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

_NOTE_MAX = 4096  # bytes of a file that are read: other users write there
_SHOWN = 80  # characters of a command line that a person is shown


def directory() -> Path:
    """The directory that all users of this machine share.

    It must not depend on who asks: TMPDIR and XDG_RUNTIME_DIR are each user's own.
    """
    shared = Path("/run/lock")
    with contextlib.suppress(OSError):
        if shared.stat().st_mode & stat.S_IWOTH:
            return shared / "sysevent"
    return Path("/tmp/sysevent-locks")


class Lock:
    """One that this process holds, until it is released or the process ends."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self.path = path

    def write(self, note: dict[str, object]) -> None:
        """Say what this is for, beside who has it."""
        who = {
            "pid": os.getpid(),
            "user": _user(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": " ".join([_command(), *sys.argv[1:]])[:1000],
        }
        text = json.dumps(who | note).encode()[:_NOTE_MAX]
        # For people only: a full disk does not make the lock less of a lock.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def read(self) -> dict[str, object]:
        """What the last one that had it has left there: a run that ended well leaves nothing."""
        return _parsed(os.pread(self._fd, _NOTE_MAX, 0))

    def release(self, *, keep_note: bool = False) -> None:
        """Let others have it. Any number of times."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            if not keep_note:
                os.ftruncate(fd, 0)
        os.close(fd)  # and with it the flock: no child inherits the descriptor


class Locks:
    """The locks of one directory."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or directory()
        self._own_choice = folder is not None

    def take(self, name: str, note: dict[str, object] | None = None) -> Lock | None:
        """A lock, when it is free; None when somebody has it. Never waits.

        NotLeased when there can be no such file.
        """
        path = self._path(name)
        try:
            fd = self._open(path)
        except OSError as error:
            raise NotLeased(
                f"cannot use {path}, which says who uses what on this machine: {error.strerror or error}; "
                "set SYSEVENT_LOCKS to a directory that all its users can write to"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return None
            raise NotLeased(
                f"cannot lock {path}: {error.strerror}; is it on a network file system?"
            ) from error
        lock = Lock(fd, path)
        if note is not None:
            lock.write(note)
        return lock

    def holder(self, name: str) -> str:
        """Who has a lock, in words for a person; "somebody" when it does not say."""
        note: dict[str, object] = {}
        with contextlib.suppress(OSError):
            fd = self._open(self._path(name))
            note = _parsed(os.pread(fd, _NOTE_MAX, 0))
            os.close(fd)
        if not note:
            return "somebody"
        since = str(note.get("since", "?"))[11:19]
        words = f"pid {note.get('pid')} of {note.get('user')} since {since}: {note.get('command')}"
        return printable(words)[: _SHOWN + 40]

    def held(self, name: str) -> bool:
        """Whether somebody has it right now."""
        lock = self.take(name)
        if lock is None:
            return True
        lock.release(keep_note=True)
        return False

    def names(self, prefix: str) -> Iterator[str]:
        """The names, with this prefix, that have ever been taken."""
        for path in sorted(self.folder.glob(f"{quote(prefix, safe='')}*.lock")):
            yield path.name.removesuffix(".lock")

    def _path(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='%@:+')}.lock"

    def _open(self, path: Path) -> int:
        """Open for all users of the machine, in a directory where any of them may plant something."""
        if not self._own_choice and self.folder.is_symlink():
            raise OSError(0, f"{self.folder} is a symbolic link, which we have not made")
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = None
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, flags)
        if fd is None:
            self._make_folder()
            # Another user's file in a sticky directory may not be opened with O_CREAT (sysctl
            # fs.protected_regular): either we make it, or we open it without.
            try:
                fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                os.fchmod(fd, 0o666)  # whatever our umask is
            except FileExistsError:
                fd = os.open(path, flags)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.close(fd)
            raise OSError(0, f"{path} is no plain file of its own")
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
    """What this process is called: of `python -m pytest` the script's name tells nothing."""
    script = Path(sys.argv[0])
    return script.parent.name if script.name == "__main__.py" else script.name


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
