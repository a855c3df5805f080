"""A mirror that does not answer is waited for once, by whichever guest comes first."""

import threading

import pytest

from sysevent.errors import DownloadFailed
from sysevent.images import unreachable
from sysevent.images.download import Gone


class Mirror:
    """asked(): what unreachable.asked() gives for a URL of this mirror; count: how often it was asked."""

    def __init__(self, url):
        self.url, self.now, self.count, self.alive = url, 0.0, 0, False
        self.error = DownloadFailed

    def asked(self, attempts=4):
        return unreachable.asked(self.url, attempts, self._ask, lambda: self.now)

    def _ask(self):
        self.count += 1
        if not self.alive:
            raise self.error(f"{self.url}: Connection refused ({self.count})")
        return b"index"


@pytest.fixture
def mirror(request):
    return Mirror(f"http://{request.node.name}.example.org/InRelease")


def test_a_failure_is_remembered_for_a_minute(mirror):
    """With its words; afterwards the mirror may be back."""
    for _ in range(3):
        with pytest.raises(DownloadFailed, match=r"refused \(1\)"):
            mirror.asked()
    mirror.now, mirror.alive = 61.0, True
    assert mirror.asked() == b"index"
    assert mirror.count == 2


def test_more_attempts_are_made(mirror):
    """One was enough where an older index was at hand."""
    for attempts in (1, 4, 1):
        with pytest.raises(DownloadFailed):
            mirror.asked(attempts)
    assert mirror.count == 2


def test_an_answer_is_not_remembered(mirror):
    """A user who asks again wants the newest."""
    mirror.alive = True
    assert [mirror.asked(), mirror.asked()] == [b"index", b"index"]
    assert mirror.count == 2


def test_a_mirror_that_answers_is_asked_again(mirror, monkeypatch):
    """It said that it has no such file."""
    monkeypatch.setattr(mirror, "error", Gone)
    for _ in range(2):
        with pytest.raises(Gone):
            mirror.asked()
    assert mirror.count == 2


def test_others_wait_for_the_one_that_asks(mirror):
    """Guests of three architectures start at the same time."""
    begun, go_on, failed = threading.Event(), threading.Event(), []

    def ask():
        begun.set()
        assert go_on.wait(10)
        return mirror._ask()

    def start(ask):
        try:
            unreachable.asked(mirror.url, 4, ask)
        except DownloadFailed as error:
            failed.append(str(error))

    first = threading.Thread(target=start, args=(ask,))
    others = [threading.Thread(target=start, args=(mirror._ask,)) for _ in range(2)]
    first.start()
    assert begun.wait(10)
    for one in others:
        one.start()
    go_on.set()
    for one in (first, *others):
        one.join(10)
    assert failed == [f"{mirror.url}: Connection refused (1)"] * 3
