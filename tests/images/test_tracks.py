"""images/tracks.toml, and the messages for mistakes in such a file."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.errors import BadTargetFile, UsageError
from sysevent.images import tracks

GOOD = '[[track]]\nname = "9.9"\nsuites = ["sid"]\n[track.packages]\narm64 = ["linux-image-9.9.*-arm64"]\n'


def test_the_tracks_of_the_project():
    known = {track.name: track for track in tracks.load()}
    assert list(known) == ["5.10", "6.1", "6.12", "6.12-16k", "6.12-rt", "7.2", "7.2-16k", "7.2-rt", "newest"]
    assert set(known["5.10"].packages) == {"arm64", "x86_64"}
    for name in ("6.12", "7.2", "newest"):
        assert set(known[name].packages) == set(ARCHITECTURES)


def test_for_an_unknown_track_the_message_lists_the_known():
    with pytest.raises(UsageError, match=r"debian:4\.19.*; expected one of debian:5\.10, .*debian:newest"):
        tracks.track("4.19", tracks.load())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("suites", "suits"), "suits"),
        (('["sid"]', "[]"), "at least one suite"),
        (('["sid"]', '["../sid"]'), "'../sid' is not the name"),
        (("arm64 =", "sparc ="), "'sparc'"),
        (('"9.9"', '"../x"'), "letters, digits, dots and hyphens"),
        (('"9.9"', "9.9"), "Expected `str`"),
        (("[[track]]", GOOD + "[[track]]"), "name is taken"),
        (("[[track]]", "[track]"), "Expected `array`"),
    ],
)
def test_messages_name_file_and_key(tmp_path, change, message):
    path = tmp_path / "tracks.toml"
    path.write_text(GOOD.replace(*change, 1))
    with pytest.raises(BadTargetFile, match=message) as caught:
        tracks.load(path)
    assert str(path) in str(caught.value)


def test_a_changed_definition_has_another_rule(tmp_path):
    rules = set()
    for number, text in enumerate((GOOD, GOOD.replace("sid", "forky"))):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        rules.add(tracks.load(path)[0].rule)
    assert len(rules) == 2
