"""Which paths are refused before make is started, which would fail there in words about something else."""

from pathlib import Path

import pytest

from sysevent import tool_paths
from sysevent.errors import UsageError


@pytest.mark.parametrize("taken", list(" \t:'\"`#$%&()*;<>?[\\|"))
def test_a_character_that_make_or_its_shell_takes(taken):
    """The message begins with what the user wrote."""
    with pytest.raises(UsageError) as refused:
        tool_paths.require(Path(f"/home/me/my{taken}linux"), "--build linux")
    assert str(refused.value) == f"--build linux: make cannot work in a path with {taken!r}; use one without"


@pytest.mark.parametrize("kept", list("aZ0/._-+,=@~!^]{}é"))
def test_a_character_that_make_leaves_alone(kept):
    path = Path(f"/home/me/my{kept}linux")
    assert tool_paths.require(path, "--build") == path


def test_the_directory_of_a_tree():
    """Of its own for each path and architecture; its name has no character that make takes."""
    trees = [Path("/a/my linux"), Path("/a/my:linux"), Path("/b/my linux")]
    found = {tool_paths.directory(Path("/cache"), "bisect", tree, "arm64") for tree in trees}
    found.add(tool_paths.directory(Path("/cache"), "bisect", trees[0], "riscv64"))
    assert len(found) == 4
    for path in found:
        assert tool_paths.require(path, "") == path
        assert path.parent == Path("/cache/bisect")
        assert path.name.startswith("my-linux-")


def test_a_cache_in_which_nothing_can_be_built():
    with pytest.raises(UsageError, match=r"the cache /my cache \(SYSEVENT_CACHE\): make cannot work"):
        tool_paths.directory(Path("/my cache"), "bisect", Path("/linux"), "arm64")
