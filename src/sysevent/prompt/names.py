"""Finds names on the command line that nothing has: of kernels, and of built-in targets.

It needs the standard library alone, so the answer waits for no import, and for nothing to be installed. What it lets
pass is checked by the verb, which knows more: target files, architectures, what is in an image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from sysevent.errors import UsageError
from sysevent.headers import names as of_headers
from sysevent.images import track_names
from sysevent.images.kernel import mistakes
from sysevent.options import OPTIONS
from sysevent.targets import names as of_targets


def check(verb: str, args: argparse.Namespace) -> None:
    """Raise UsageError for the first kernel that does not exist, and for a --target that matches no built-in one.

    verb: with the verb below it, as in "layout diff". Targets are not checked if a file has more of them.
    """
    check_kernel = _KERNELS.get(verb.partition(" ")[0], mistakes.check_name)
    for option in OPTIONS:
        if option.kind == "kernel" and {verb, verb.partition(" ")[0]} & option.uses.keys():
            for name in _values(args, option.name):
                check_kernel(name)
    if not _values(args, "targets"):
        of_targets.require_matches(_values(args, "target"), of_targets.builtin())


def _values(args: argparse.Namespace, name: str) -> list[str]:
    """The values of an option, which may have none, or not exist in this verb."""
    value = getattr(args, name, None)
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _track(spec: str) -> None:
    known = track_names.load()
    if not spec.startswith(track_names.PREFIX):
        near = track_names.nearest(spec, known)
        raise UsageError(f"--kernel {spec}{near}: only images of kernel tracks are kept: {', '.join(known)}")
    if spec not in known:
        raise track_names.unknown(spec.removeprefix(track_names.PREFIX), known)


def _side(name: str) -> None:
    """A side of diff can be a recorded run as well, which the verb reads."""
    path = Path(name).expanduser()
    if not path.exists() and path.suffix != ".jsonl":
        try:
            mistakes.check_name(name)
        except UsageError as error:
            raise UsageError(str(error).removeprefix("--kernel ")) from None


# How a kernel is named, for verbs that do not take what `run --kernel` takes.
_KERNELS: Mapping[str, Callable[[str], None]] = {
    "images": _track,
    "layout": of_headers.check,
    "diff": _side,
}
