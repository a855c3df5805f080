"""Finds names on the command line that nothing has: of kernels, and of built-in targets.

It needs the standard library alone, so the answer waits for no import, and for nothing to be installed. What it lets
pass is checked by the verb, which knows more: target files, architectures, what is in an image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from sysevent.errors import UsageError
from sysevent.options import OPTIONS

# What checks the names is imported where there is one to check: most command lines have none.


def check(verb: str, args: argparse.Namespace) -> None:
    """Raise UsageError for the first kernel that does not exist, and for a --target that matches no built-in one.

    verb: with the verb below it, as in "layout diff". Targets are not checked if a file has more of them.
    """
    name = verb.partition(" ")[0]
    for option in OPTIONS:
        if option.kind == "kernel" and {verb, name} & option.uses.keys():
            for kernel in _values(args, option.name):
                _KERNELS.get(name, _kernel)(kernel)
    globs = _values(args, "target")
    if globs and not _values(args, "targets"):
        from sysevent.targets import names

        names.require_builtin(globs)


def _values(args: argparse.Namespace, name: str) -> list[str]:
    """The values of an option, which may have none, or not exist in this verb."""
    value = getattr(args, name, None)
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _kernel(spec: str) -> None:
    from sysevent.images.kernel import mistakes

    mistakes.check_name(spec)


def _track(spec: str) -> None:
    from sysevent.images import track_names

    if not spec.startswith(track_names.PREFIX):
        known = track_names.load()
        near = track_names.nearest(spec, known)
        raise UsageError(f"--kernel {spec}{near}: only images of kernel tracks are kept: {', '.join(known)}")
    track_names.require(spec)


def _headers(spec: str) -> None:
    from sysevent.headers import names

    names.check(spec)


def _side(name: str) -> None:
    """A side of diff can be a recorded run as well, which the verb reads."""
    path = Path(name).expanduser()
    if not path.exists() and path.suffix != ".jsonl":
        try:
            _kernel(name)
        except UsageError as error:
            raise UsageError(str(error).removeprefix("--kernel ")) from None


# How a kernel is named, for verbs that do not take what `run --kernel` takes.
_KERNELS: Mapping[str, Callable[[str], None]] = {
    "images": _track,
    "layout": _headers,
    "diff": _side,
}
