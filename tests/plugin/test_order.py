"""A test whose answer has arrived runs before one that would wait."""

from types import SimpleNamespace

import pytest

from sysevent.plugin.order import Order
from sysevent.targets.spec import TargetSpec

PASSING = ["--arch", "arm64", "--arch", "x86_64", "-k", "test_arm64 or test_x86_64"]
SPECS = {name: TargetSpec(name=name, arch="arm64", where="tcg") for name in "ab"}


def item(word):
    """A test: "a1" is the first one of target a; "-1" is one without a target."""
    spec = SPECS.get(word[0])
    return SimpleNamespace(word=word, callspec=SimpleNamespace(params={"target": spec} if spec else {}))


def run(words, waiting=()):
    """The order in which pytest runs tests; waiting: those that would wait, until so many others have run."""
    items, ran = [item(word) for word in words.split()], []
    waiting = dict(waiting)
    order = Order(items, lambda one: len(ran) >= waiting.get(one.word, 0), lambda *_: None)
    for index, one in enumerate(items):
        following = items[index + 1].word if index + 1 < len(items) else ""
        ran.append(one.word)
        order.advance()
        if following:
            assert items[index + 1].word == following, "pytest was promised another test"
    order.settle()
    assert sorted(ran) == sorted(one.word for one in items) == sorted(words.split())
    return " ".join(ran)


@pytest.mark.parametrize(
    ("words", "waiting", "ran"),
    [
        ("a1 a2 a3 b1 b2", {}, "a1 a2 a3 b1 b2"),
        ("a1", {}, "a1"),
        ("a1 b1", {"a1": 9, "b1": 9}, "a1 b1"),
        # Nothing is ready: the first target is waited for.
        ("a1 a2 a3 b1", {"a3": 99, "b1": 99}, "a1 a2 a3 b1"),
        # The others run meanwhile, and as soon as it is ready it stays with the target that runs.
        ("a1 a2 a3 a4 b1 b2 b3", {"a3": 2}, "a1 a2 b1 b2 b3 a3 a4"),
        ("a1 a2 a3 b1 b2 b3", {"a3": 2, "b2": 9}, "a1 a2 b1 a3 b2 b3"),
        # Within a target the order stays: what waits for all of its answers is the last.
        ("a1 a2 a3 a4 b1", {"a3": 9}, "a1 a2 b1 a3 a4"),
        # What needs no guest fills the gap.
        ("a1 a2 a3 -1 -2", {"a3": 3}, "a1 a2 -1 -2 a3"),
    ],
)
def test_the_next_test(words, waiting, ran):
    assert run(words, waiting) == ran


@pytest.mark.parametrize(
    ("first", "stopping", "chosen"),
    [("a", False, "a3"), ("b", False, "b1"), ("b", True, "a3"), ("", False, "a3")],
)
def test_the_first_that_becomes_ready(first, stopping, chosen):
    """None is ready: the guest that answers first decides, not the one that is waited for; unless the session ends."""
    items = [item(word) for word in ["a1", "a2", "a3", "b1"]]
    answered, waited = set(), []

    def wait(heads, done):
        waited.append(([one.word for one in heads], done()))
        answered.update(first)
        waited.append(done())

    order = Order(items, lambda one: one.word[0] in answered, wait)
    order.advance(stopping=stopping)
    assert items[2].word == chosen
    assert waited == ([] if stopping else [(["a3", "b1"], False), bool(first)])


def test_a_lost_guest():
    """Its next test runs, and starts it again, while the others work."""
    items = [item(word) for word in ["a1", "a2", "a3", "b1", "c1"]]
    order = Order(items, lambda one: False, lambda heads, done: heads[1])
    order.advance()
    assert items[2].word == "b1"


def test_a_target_to_return_to():
    """Its guest must not end yet, nor be leased to another run. After the last test it may."""
    items = [item(word) for word in ["a1", "b1", "a2"]]
    order = Order(items, lambda _: True, lambda *_: None)
    # While a1 runs, b1 is promised and a2 is left; then a2 is promised; then it is the last.
    for a, b in ((True, True), (True, False), (False, False)):
        assert (order.returns_to("a"), order.returns_to("b")) == (a, b)
        order.advance()


def test_an_end_before_the_last_test():
    """With -x, say: the session has each of its tests once."""
    items = [item(word) for word in ["a1", "a2", "a3", "b1", "b2"]]
    order = Order(items, lambda one: one.word[0] != "a", lambda *_: None)
    order.advance()
    order.settle()
    assert sorted(one.word for one in items) == ["a1", "a2", "a3", "b1", "b2"]


def test_a_whole_run(runs):
    """Each claim is judged once, with the guest that was asked first, and in order for each target."""
    runs.start("late", *PASSING, late={"arm64-tcg": 2})
    runs.start("none_late", *PASSING)
    targets = [record["target"].partition("-")[0] for record in runs["late"].records("verdict")]
    others = targets.count("x86_64")
    assert targets == ["arm64", "arm64", *["x86_64"] * others, *["arm64"] * (targets.count("arm64") - 2)]
    assert others > 1
    assert runs["late"].statuses() == runs["none_late"].statuses()
    assert len(runs["late"].records("target")) == 2
    assert runs["late"].code == 0, runs["late"].out
