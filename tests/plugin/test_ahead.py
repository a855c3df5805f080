"""Files of guests are prepared while tests are collected, and nothing depends on it."""

import threading

from sysevent.plugin.ahead import Ahead
from sysevent.targets.spec import TargetSpec

SPECS = [TargetSpec(name=name, arch="arm64", where="tcg") for name in ("first", "second")]
SOON = 10


class Opener:
    """Waits in prepare_ahead() until it may go on."""

    def __init__(self, spec, begun, go_on):
        self.spec, self._begun, self._go_on = spec, begun, go_on

    def prepare_ahead(self):
        self._begun.set()
        assert self._go_on.wait(SOON)


def started():
    begun, go_on = threading.Event(), threading.Event()
    ahead = Ahead(SPECS, lambda spec: Opener(spec, begun, go_on))
    assert begun.wait(SOON)
    return ahead, go_on


def test_in_the_order_of_targets():
    ahead, go_on = started()
    # While it is being prepared: prepare() waits for that.
    assert ahead.take(SPECS[0]).spec is SPECS[0]
    assert ahead.take(SPECS[0]) is None
    go_on.set()
    ahead.close()


def test_after_the_collection_no_further_one():
    ahead, go_on = started()
    ahead.stop()
    go_on.set()
    ahead.close()
    assert ahead.take(SPECS[1]) is None
