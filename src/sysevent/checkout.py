"""Where the files are that are not Python packages, where runs leave their results, and what starts this program.

In a clone, suites, guests, images and documents are beside src/. An installed package has copies of them in _data, with
the names that they have in a clone, put there by setup.py when the wheel was built. Nothing is written to them.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
DATA = PACKAGE / "_data"
# True: this is an installed package. An editable installation is a clone.
INSTALLED = DATA.is_dir()
ROOT = DATA if INSTALLED else PACKAGE.parents[1]
GUESTS = ROOT / "guests"
IMAGES = ROOT / "images"
SUITES = ROOT / "suites"
# Runs of real kernels, which `explain` shows.
RECORDINGS = ROOT / "tests" / "data" / "runs"


def results_home(root: Path = ROOT, *, installed: bool = INSTALLED) -> Path:
    """Return the directory that has the results of each run which did not name another one; it need not exist.

    results/ of a clone. For an installed package, or a clone that cannot be written to, the user's directory for state:
    $XDG_STATE_HOME/sysevent/results, by default below ~/.local/state.
    """
    own = root / "results"
    return state_home() / "results" if installed or obstacle(own) else own


def state_home() -> Path:
    """Return the user's directory for what is kept from one run to the next; it need not exist."""
    # Here: most verbs do without.
    import platformdirs

    return platformdirs.user_state_path("sysevent")


def obstacle(path: Path) -> str:
    """Return why files cannot be made in a directory, which need not exist yet, naming the place; "" if they can."""
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        return f"{there} is not a directory"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} cannot be written to"


def with_extra(extra: str, root: Path = ROOT, *, installed: bool = INSTALLED) -> str:
    """Return the line for a shell that installs what an extra of this package needs, where this program finds it."""
    if installed:
        return f"pip install 'sysevent[{extra}]'"
    return shlex.join([sys.executable, "-m", "pip", "install", "-e", f"{root}[{extra}]"])


def command(
    root: Path = ROOT, *, installed: bool = INSTALLED, scripts: Iterable[Path] | None = None
) -> list[str]:
    """Return the words that start this program in any directory: the launcher of a clone, or the installed command.

    scripts: the directories in which an installer of this interpreter puts commands. If none of them has it, as after
    `pip install --target`, the interpreter is started with -m.
    """
    if not installed:
        return [str(root / "sysevent")]
    for folder in _scripts() if scripts is None else scripts:
        if os.access(folder / "sysevent", os.X_OK):
            return [str(folder / "sysevent")]
    return [sys.executable, "-m", "sysevent"]


def _scripts() -> list[Path]:
    # Imported here, as below: every start of the program waits for this module.
    import sysconfig

    schemes = sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")
    return [Path(sysconfig.get_path("scripts", scheme)) for scheme in schemes]


def typed(words: Iterable[str] | None = None, *, installed: bool = INSTALLED) -> str:
    """Return what a user types to start this program: ./sysevent in a clone, else the shortest that is the same.

    words: what command() returns.
    """
    if not installed:
        return "./sysevent"
    import shlex
    import shutil

    own = list(command() if words is None else words)
    # `uvx` and `uv run` extend PATH for this process alone, and set UV in it.
    found = None if "UV" in os.environ else shutil.which("sysevent")
    if len(own) == 1 and found and Path(found).resolve() == Path(own[0]).resolve():
        return "sysevent"
    return shlex.join(own)


def document(name: str, root: Path = ROOT, *, installed: bool = INSTALLED) -> str:
    """Return where the reader finds a document: docs/NAME in a clone, else an absolute path."""
    return str(root / "docs" / name) if installed else f"docs/{name}"
