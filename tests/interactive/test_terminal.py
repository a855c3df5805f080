"""The user's terminal while a guest's console is connected with it."""

import os
import signal
import termios

import pytest
from processes import open_terminal

from sysevent.interactive import terminal


@pytest.mark.parametrize("ending", [None, signal.SIGTERM, signal.SIGHUP, ValueError])
def test_terminal_is_restored(ending):
    """And the handlers of signals, after every way to end."""
    other, ours = open_terminal()
    try:
        before, handler = termios.tcgetattr(ours), signal.getsignal(signal.SIGTERM)

        def doing():
            with terminal.raw(ours):
                assert not termios.tcgetattr(ours)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
                if ending is ValueError:
                    raise ValueError("ours")
                if ending is not None:
                    os.kill(os.getpid(), ending)

        if ending is None:
            doing()
        elif ending is ValueError:
            with pytest.raises(ValueError, match="ours"):
                doing()
        else:
            with pytest.raises(SystemExit) as end:
                doing()
            assert end.value.code == 128 + ending
        assert termios.tcgetattr(ours) == before
        assert signal.getsignal(signal.SIGTERM) == handler
    finally:
        os.close(other)
        os.close(ours)
