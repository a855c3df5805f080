"""What tests ask about processes: /proc, for those that are not the test's own children."""

import time
from pathlib import Path

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


def has_ended(pid, seconds=SOON):
    """True as soon as there is no process of that id, or only a zombie; False after that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if stat(pid)[:1] in ([], ["Z"]):
            return True
        time.sleep(0.005)
    return False
