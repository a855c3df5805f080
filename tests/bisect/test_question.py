"""The command line that repeats a bisection."""

from sysevent.bisect.question import Question

ENDS = {"arch": "arm64", "good": "a1", "bad": "b2", "good_named": "v6.1", "bad_named": "v6.2"}


def test_only_what_differs_from_the_default():
    question = Question("build", "/src/linux tree", **ENDS)
    assert question.options() == ["--arch", "arm64"]
    assert question.command == "sysevent bisect --tree '/src/linux tree' --good a1 --bad b2 --arch arm64"


def test_every_option():
    """Each one as often as it has values."""
    question = Question(
        "layout",
        "/linux",
        **ENDS,
        tests=("a", "b"),
        abi="i386",
        target="x",
        targets=("lab.toml",),
        boot_failure_is_bad=True,
        strict=True,
        strict_errata=True,
        floor="6.1",
        fragments=("one", "two"),
        boots=3,
    )
    assert " ".join(question.options()) == (
        "--arch arm64 --test a --test b --targets lab.toml --config one --config two --target x --floor 6.1 "
        "--abi i386 --layout --boot-failure=bad --strict-observed --strict-errata --boots 3"
    )


def test_packages():
    question = Question("packages", "debian", **ENDS)
    assert question.command == "sysevent bisect --packages debian --good a1 --bad b2 --arch arm64"
