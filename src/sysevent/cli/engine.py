"""pytest, the engine of both `sysevent run` and `sysevent test`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sysevent.checkout import ROOT
from sysevent.errors import UsageError


def become_pytest(folder: str, arguments: Sequence[str], *, root: Path = ROOT) -> NoReturn:
    """Become pytest at the root of the checkout, which has folder; UsageError when there is no checkout.

    In this process, which is as `python -m pytest` would be: Ctrl-C, a signal and the exit code are pytest's own,
    and one start of Python less is waited for.
    """
    if not (root / folder).is_dir():
        raise UsageError(
            f"{root / folder} is not there: this verb works from a git checkout of sysevent, installed "
            f"editable (./sysevent does that), not from an installed copy of the package alone"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(root)
    sys.argv = ["pytest", *arguments]
    sys.path.insert(0, str(root))
    # Imports make objects that stay; the plugin goes on from there (plugin/options.py).
    gc.disable()
    import pytest  # here: the other verbs do without

    sys.exit(pytest.console_main())
