"""What pyelftools raises for a damaged file, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from sysevent.errors import SyseventError
from sysevent.text import one_line


@contextlib.contextmanager
def damage_as(error: Callable[[str], SyseventError]) -> Iterator[None]:
    """Turn any exception of pyelftools into one of this project, made by error() from a line of text.

    pyelftools trusts what it reads: offsets, sizes and indexes of a damaged file lead to exceptions of Python, of
    the library construct and of its own. All of them mean the same. The new one has no cause, because the frames of
    the old one hold the file's bytes.
    """
    try:
        yield
    except SyseventError:
        raise
    except OSError as found:
        raise error(found.strerror or one_line(found)) from None
    except Exception as found:
        raise error(f"{type(found).__name__}: {one_line(found)[:200]}") from None
