"""What can be known before collection is one line of `pytest suites`, with exit code 4."""

import kernel_images
import pytest

MISTAKES = {
    "--kernel debian:6.13": "did you mean debian:6.1?",
    "--kernel 6.1": "did you mean debian:6.1?",
    "--kernel FOLDER": "name an image in it",
    "--kernel FOLDER/unbuilt": "for a kernel tree write tree:FOLDER/unbuilt",
    "--kernel tree:FOLDER/unbuilt --arch arm64": "is not built for arm64",
    "--mirror htp://m.example.org/debian": "did you mean http://m.example.org/debian?",
    "--keyring FOLDER/none": "No such file",
    "--keyring FOLDER/test_suite.py": "is not a keyring",
    "--target arm64-tgc": "did you mean arm64-tcg?",
    "--abi i368": "did you mean i386?",
    "--abi i386 --arch arm64": "none of the selected targets has it",
    "--require arm64-tgc": "did you mean arm64-tcg?",
    "--modules FOLDER/none": "no such directory",
    "--modules FOLDER": "has its own modules",
    "--keep fail": "did you mean failed?",
    "--keep-for 0": "expected a number from 1",
    "--results=": "an empty value",
    "--floor=": "an empty value",
}


@pytest.fixture(scope="module")
def ran(runs, tmp_path_factory):
    folder = runs.locks("x").parent
    kernel_images.source_tree(folder / "unbuilt")
    for number, typed in enumerate(MISTAKES):
        runs.start(f"m{number}", *typed.replace("FOLDER", str(folder)).split())
    runs.start("expression", "-k", "test_arm46")
    return runs


@pytest.mark.parametrize("typed", MISTAKES)
def test_one_line(ran, typed):
    found = ran[f"m{list(MISTAKES).index(typed)}"]
    assert (found.code, len(found.out.strip().splitlines())) == (4, 1), found.out
    assert MISTAKES[typed].replace("FOLDER", str(ran.folder)) in found.out


def test_expression_that_selects_nothing(ran):
    """pytest's own exit code is 5, which is also that of a run without a verdict."""
    found = ran["expression"]
    assert found.code == 4
    assert "ERROR: -k 'test_arm46' selects no test" in found.out
