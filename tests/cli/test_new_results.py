"""The directory for the results of explore, peers, vmms and run --repeat."""

import pytest

from sysevent.cli import new_results
from sysevent.errors import UsageError
from sysevent.report import results_directories


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The usual place for results, which does not exist yet."""
    place = tmp_path / "results"
    monkeypatch.setattr(new_results, "results_home", lambda: place)
    return place


def test_two_of_one_second(home):
    """Each has its own, and nothing is created."""
    first = new_results.new_folder(None)
    assert not home.exists()
    first.mkdir(parents=True)
    second = new_results.new_folder(None)
    assert second != first
    assert second.parent == first.parent == home


def test_one_run_is_deleted_when_it_is_old(home):
    """Its name says so; that of several runs begins with their kind, and stays."""
    for kind in ("", "repeat"):
        new_results.new_folder(None, kind).mkdir(parents=True)
    (only,) = results_directories.old(home, now=1e11, newest=0)
    assert "repeat" not in only.name


def test_a_given_place(tmp_path, home):
    """It may exist if it is empty."""
    place = tmp_path / "mine"
    assert new_results.new_folder(str(place)) == place
    place.mkdir()
    assert new_results.new_folder(str(place), "vmms") == place
    (place / "x").touch()
    with pytest.raises(UsageError, match="is not empty: name a new directory"):
        new_results.new_folder(str(place))


def test_a_place_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        UsageError, match=r"no results can be kept in .* is not a directory; name another place"
    ):
        new_results.new_folder(str(tmp_path / "file" / "results"))
