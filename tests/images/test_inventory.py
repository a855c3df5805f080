"""track_states, verify and prune, and the command `images`."""

import argparse
from datetime import timedelta

import msgspec
import pytest

from sysevent.arches import ARCHITECTURES, architecture
from sysevent.cache import Cache
from sysevent.cli import images
from sysevent.errors import BadSignature, NotApplicable, UsageError
from sysevent.images import inventory, tracks
from sysevent.images.debian.track_resolution import Resolution
from sysevent.images.kernel import resolve
from sysevent.images.rootfs import initramfs
from sysevent.prompt.verbs import add_arguments

ARCHS = list(ARCHITECTURES.values())
NOW = timedelta(0)


@pytest.fixture
def kernel(trixie, settings, progress):
    arm64 = architecture("arm64")
    kernel = resolve.find("debian:6.12", arm64, settings, progress)
    initramfs.build(kernel, arm64, {"/init": b"#!"}, ["virtio_console"], settings, progress)
    return kernel


@pytest.fixture
def run(monkeypatch, settings, kernel):
    """The command with the test's settings."""
    for name in ("CACHE", "MIRROR", "KEYRING"):
        monkeypatch.setenv(f"SYSEVENT_{name}", str(getattr(settings, name.lower())))

    def run(*argv):
        parser = argparse.ArgumentParser()
        add_arguments(parser, "images")
        return images.run(parser.parse_args(argv))

    return run


def files(settings):
    return {
        p.relative_to(settings.cache)
        for p in settings.cache.rglob("*")
        if p.is_file() and p.parent.name not in ("locks", "tracks", "suites")
    }


def test_track_states(kernel, settings, trixie):
    states = {
        (state.track.name, state.arch): state
        for state in inventory.track_states(tracks.load(), ARCHS, settings)
    }
    cached = states["6.12", "arm64"]
    assert (cached.state, cached.version, cached.suite, cached.size) == (
        "cached",
        "6.12.1-1",
        "trixie",
        len(trixie.deb),
    )
    assert cached.age < 60
    assert states["6.12", "x86_64"].state == "-"
    assert states["5.10", "riscv64"].state == "none"
    kernel.modules.unlink()
    states = {
        (state.track.name, state.arch): state
        for state in inventory.track_states(tracks.load(), ARCHS, settings)
    }
    assert states["6.12", "arm64"].state == "known"


def test_verify_without_damage(kernel, settings, progress):
    assert list(inventory.verify(settings, progress)) == []


def test_verify_finds_one_changed_byte_in_any_file(kernel, settings, progress):
    victims = files(settings)
    assert {path.parts[0] for path in victims} == {"blobs", "kernels", "modules", "initramfs"}
    for victim in sorted(victims):
        path = settings.cache / victim
        # The hash of a file stands for the file.
        shown = path.with_suffix("") if path.suffix == ".sha256" else path
        before = {one: one.read_bytes() for one in path.parent.iterdir()}
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        damage = list(inventory.verify(settings, progress))
        assert (shown, True) in [(one.path, one.removed) for one in damage]
        assert not path.exists()
        for one, content in before.items():
            one.write_bytes(content)
    assert list(inventory.verify(settings, progress)) == []


def test_verify_checks_against_the_signatures(kernel, settings, progress, mirror):
    settings.keyring.write_bytes(bytes(type(mirror.key).generate("mallory").extract_certificate()))
    (damage,) = inventory.verify(settings, progress)
    assert "not signed by a key" in damage.problem
    assert not damage.removed


def test_verify_compares_the_image_with_the_package(kernel, settings, progress):
    cache = Cache(settings.cache)
    resolve._store(kernel.image, kernel.image.read_bytes() + b"!", architecture("arm64"), cache)
    (damage,) = inventory.verify(settings, progress)
    assert "is not the kernel in" in damage.problem


def test_verify_looks_the_package_up_in_the_signed_index(kernel, settings, progress):
    (path,) = (settings.cache / "tracks").glob("*.json")
    cache = Cache(settings.cache)
    known = msgspec.to_builtins(cache.read(path, Resolution))
    known["kernel"]["image"]["version"] = "6.12.1-2"
    cache.record(path, known)
    (damage,) = inventory.verify(settings, progress)
    assert "has no linux-image-6.12.1+deb13-cloud-arm64 6.12.1-2 with that hash" in damage.problem


def test_prune_keeps_files_in_use(kernel, settings):
    before = files(settings)
    assert inventory.prune(settings, ARCHS, grace=NOW).files == 0
    assert files(settings) == before


def test_prune_removes_unreferenced_files(kernel, settings, progress, trixie, make_deb, arm64_image):
    old = files(settings)
    newer = make_deb({"boot/vmlinuz-6.12.2": arm64_image("6.12.2")})
    trixie.add("trixie", "arm64", [("linux-image-6.12.2+deb13-cloud-arm64", "6.12.2-1", newer)])
    resolve.find("debian:6.12", architecture("arm64"), settings, progress, refresh=True)
    (settings.cache / "parts/x.part").write_bytes(b"fresh")
    assert inventory.prune(settings, ARCHS).files == 0, "every file is younger than the grace"
    pruned = inventory.prune(settings, ARCHS, grace=NOW)
    left = files(settings)
    gone = {path for path in old if path not in left and path.suffix != ".sha256"}
    assert not {path.with_suffix("") for path in left if path.suffix == ".sha256"} & gone
    assert {path.parts[0] for path in gone} == {"blobs", "kernels", "modules"}
    assert pruned.files == len(gone)
    assert sum(path.parts[0] == "blobs" for path in left) == 3, "InRelease, Packages, the package"
    assert not kernel.image.parent.exists()
    assert resolve.find("debian:6.12", architecture("arm64"), settings, progress).version == "6.12.2-1"
    assert inventory.prune(settings, ARCHS, grace=NOW, unused=NOW).files == 1, "the initramfs"


def test_command_list(run, capsys):
    assert run("list", "--arch", "arm64") == 0
    out = capsys.readouterr().out
    assert "debian:6.12      arm64  cached  6.12.1-1  trixie" in out
    assert "riscv64" not in out


def test_command_fetch(run, capsys):
    assert run("fetch", "--kernel", "debian:6.12", "--arch", "arm64") == 0
    assert capsys.readouterr().out == "debian:6.12 arm64: Linux 6.12.1+deb13-cloud-arm64 (6.12.1-1)\n"
    with pytest.raises(NotApplicable):
        run("fetch", "--kernel", "debian:5.10", "--arch", "riscv64")


def test_command_verify(run, kernel, capsys):
    assert run("verify") == 0
    kernel.image.write_bytes(b"x")
    assert run("verify") == 1
    assert f"{kernel.image}: its content is not what was stored" in capsys.readouterr().out


def test_command_fetch_repairs_what_verify_removed(run, settings, trixie):
    for end in ("InRelease", "Packages.xz", "arm64.deb"):
        data = trixie.find(f"trixie/{end}" if end == "InRelease" else end).read_bytes()
        (blob,) = [p for p in (settings.cache / "blobs/sha256").iterdir() if p.read_bytes() == data]
        blob.write_bytes(data[:-1] + b"?")
        assert [run("verify") for _ in range(2)] == [1, 1], "removed, then missing"
        assert run("fetch", "--kernel", "debian:6.12", "--arch", "arm64") == 0
        assert run("verify") == 0


def test_command_raises_errors(run, settings, mirror):
    settings.keyring.write_bytes(bytes(type(mirror.key).generate("mallory").extract_certificate()))
    with pytest.raises(BadSignature):
        run("fetch", "--kernel", "debian:6.12", "--arch", "arm64", "--refresh")


@pytest.mark.parametrize(
    "argv",
    [
        ("list", "--arch", "vax"),
        ("prune", "--arch", "arm64"),
    ],
)
def test_command_misused(run, argv):
    with pytest.raises(UsageError):
        run(*argv)
