"""What tests ask about processes: /proc, for those that are not the test's own children, since ps may be missing."""

import contextlib
import os
import select
from pathlib import Path

import pytest

SOON = 5  # seconds


def pids():
    """The ids of all processes."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def stat(pid):
    """State and parent of a process, and what follows in proc_pid_stat(5); an empty list if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def name(pid):
    """The name of a process, as ps shows it; "" if there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    return ""


def arguments(pid):
    """The command line of a process, with spaces between the words; "" if there is none."""
    with contextlib.suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        )
    return ""


def below(pid):
    """Number -> name of all descendants of a process."""
    parents = {one: int(fields[1]) for one in pids() if (fields := stat(one))}
    found, level = {}, {pid}
    while level:
        level = {one for one, parent in parents.items() if parent in level}
        found |= {one: name(one) for one in level}
    return found


def members(group):
    """The command lines of a process group's processes, without zombies."""
    rows = ((one, stat(one)) for one in pids())
    return [arguments(one) for one, row in rows if row and int(row[2]) == group and row[0] != "Z"]


def open_terminal():
    """As os.openpty(); the test is skipped where there are no pseudo terminals, as in some containers."""
    try:
        return os.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo terminal here (/dev/pts): {error}")


def has_ended(pid, seconds=SOON):
    """True as soon as there is no process of that id, or only a zombie; False after that time."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([end], [], [], seconds)[0])
    finally:
        os.close(end)
