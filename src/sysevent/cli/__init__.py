"""The sysevent command: one module per verb, imported only if its verb is on the command line.

A verb's module has run(args) -> exit code; verbs.py has its arguments. Except in run, test and report, where it is
pytest's, and in bisect, where git reads it, the exit code is one of these:

0    success
1    success, and the answer is no (doctor: something is missing)
2    the user asked for something that does not exist or does not fit together
3    something under or around the harness broke, or the harness itself
130  interrupted by Ctrl-C; 128 + N by another signal N; 141 if the reader of the output has ended
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from sysevent import interrupts, standard_streams, tracebacks
from sysevent.errors import SyseventError, UsageError, of_this_machine
from sysevent.prompt.command_line import parse, verb_of
from sysevent.prompt.verbs import VERBS, module_name
from sysevent.text import escape

# git takes every exit code from 1 to 127 except 125 for "bad". Where git reads the exit code, every failure of this
# program must be more than 127, an error in its own code included (git-bisect(1), "bisect run").
_STOP = {"bisect": 129}

# The exit codes of a usage error: of this command, as of argparse, and of pytest.
_USAGE, _PYTEST_USAGE = 2, 4

# The reader of the output has ended: the exit code of `yes` in `yes | head`.
_READER_ENDED = 128 + signal.SIGPIPE


class _Verb(Protocol):
    """What the module of a verb offers."""

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line argv, by default this process's; the exit code."""
    standard_streams.repair()
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> int:
        verb, args = parse(words)
        return cast(_Verb, importlib.import_module(module_name(verb))).run(args)

    return exit_code(verb_of(words), action)


def answer_at_once(argv: Sequence[str]) -> int | None:
    """Answer a command line for which the standard library is enough, as main() would; the exit code.

    None if it is not: the verb must run. Enough it is for help, the version, what is mistyped, and a verb that needs
    nothing else. For the launcher, before it installs what verbs need.
    """
    standard_streams.repair()
    words = list(argv)
    left: list[str] = []

    def action() -> int:
        try:
            verb, args = parse(words)
        except UsageError:
            raise
        # Such as a package that is not installed: the verb itself finds out.
        except Exception:
            left.append("")
            return 0
        if VERBS[verb].bare:
            return cast(_Verb, importlib.import_module(module_name(verb))).run(args)
        left.append(verb)
        return 0

    code = exit_code(verb_of(words), action)
    return None if left else code


def exit_code(verb: str | None, action: Callable[[], int]) -> int:
    """The exit code of an action of a verb, with its exception printed if it raises one.

    No exception gives 1, which is an answer.
    """
    with interrupts.in_order() as signals:
        try:
            row = VERBS.get(verb or "")
            usage = _PYTEST_USAGE if row and row.pytest else _USAGE
            return _exit_code(_STOP.get(verb or ""), usage, action)
        except KeyboardInterrupt:
            say(f"interrupted by {signals.reason or 'Ctrl-C'}")
            return signals.exit_code


def _exit_code(stop: int | None, usage: int, action: Callable[[], int]) -> int:
    """usage: the exit code of a usage error. stop: that of every failure of a verb whose exit code git reads."""
    try:
        code = action()
        # Here, where an error can still be handled.
        sys.stdout.flush()
        return code
    except UsageError as error:
        say(str(error))
        return stop or usage
    except SyseventError as error:
        say(str(error))
        return stop or 3
    # Raised by argparse, and by rich if the reader of the output has ended.
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            return stop or _READER_ENDED
        if stop and error.code:
            return stop
        raise
    except (OSError, MemoryError) as error:
        if standard_streams.reader_has_ended():
            standard_streams.discard()
            return stop or _READER_ENDED
        say(str(of_this_machine("failed", error)))
        standard_streams.discard_refused()
        return stop or 3
    except Exception as error:
        say(f"an error of sysevent itself: {tracebacks.with_frames(error)}")
        return stop or 3


def say(line: str) -> None:
    """Print a line for the user on stderr, escaped; stdout is for what was asked."""
    # Without stderr the exit code alone must do.
    with contextlib.suppress(OSError, ValueError):
        print(f"sysevent: {escape(line)}", file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print what was asked on stdout, escaped: it can hold what a guest, a file, git or another user wrote."""
    print(escape(text), flush=True)
