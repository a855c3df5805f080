"""axe-core, which checks whether everybody can use a page: one version, verified, and kept in the cache.

It is not in this tree, because it is 650 KB of generated code of somebody else's (MPL-2.0).
"""

import hashlib
import io
import shutil
import subprocess
import tarfile

import pytest

VERSION = "4.14.1"
# Of the package, as the registry serves it.
SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
_MEMBER = "package/axe.min.js"
# Seconds for the download of 700 KB.
_PATIENCE = 60


def source(settings):
    """The script, from the cache or else from the registry that npm is configured for; skips if there is neither."""
    folder = settings.cache / "tests"
    package = folder / f"axe-core-{VERSION}.tgz"
    if not package.is_file():
        if settings.offline:
            pytest.skip(
                f"axe-core {VERSION} is not cached; with CI=1 in the environment this test downloads it"
            )
        _download(folder)
    content = package.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        package.unlink()
        pytest.fail(
            f"axe-core {VERSION}: SHA-256 is {found}, expected {SHA256}; it was removed from the cache"
        )
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.extractfile(_MEMBER).read().decode()


def _download(folder):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"axe-core {VERSION} is not cached, and npm, which downloads it, is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", f"axe-core@{VERSION}", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd=folder)
    if done.returncode:
        pytest.skip(f"npm could not download axe-core {VERSION}: {done.stderr.strip()[-300:]}")
