"""debian:TRACK with a mirror on this machine, from the signature to the file that QEMU boots."""

import hashlib
import os
import subprocess
import sys
import threading

import msgspec
import pytest
from faults import DAMAGE

from sysevent.arches import architecture
from sysevent.errors import BadSignature, DownloadFailed, NotApplicable, NotCached, UsageError
from sysevent.images.debian.archive import Archive
from sysevent.images.download import Expected
from sysevent.images.rootfs import initramfs

ARM64 = architecture("arm64")
DEB = "6.12.1-1_arm64.deb"


def test_the_second_time_from_the_cache(find, trixie, arm64_image):
    kernel = find()
    assert (kernel.spec, kernel.arch, kernel.version) == ("debian:6.12", "arm64", "6.12.1-1")
    assert kernel.release == "6.12.1+deb13-cloud-arm64"
    assert kernel.image.read_bytes() == arm64_image("6.12.1+deb13-cloud-arm64")
    requests = len(trixie.log)
    assert find() == kernel
    assert len(trixie.log) == requests, "with a warm cache there is no request"
    assert find(offline=True) == kernel


def test_progress_names_the_package(find, trixie, progress):
    find()
    assert any(
        line.startswith("debian:6.12 arm64: linux-image-6.12.1+deb13-cloud-arm64 0.0 of") for line in progress
    )


@pytest.mark.parametrize("end", ["dists/trixie/InRelease", "binary-arm64/Packages.xz", DEB])
def test_one_changed_byte_in_any_file(find, trixie, settings, end):
    victim = trixie.find(end)
    data = bytearray(victim.read_bytes())
    # In InRelease this byte is in the signed text.
    data[200] ^= 1
    for path in victim, *victim.parent.glob("by-hash/SHA256/*"):
        path.write_bytes(data)
    with pytest.raises(BadSignature, match=end if "Packages" not in end else "by-hash"):
        find()
    assert not list((settings.cache / "parts").glob("*"))
    assert not list((settings.cache / "tracks").glob("*")) or end == DEB
    for blob in (settings.cache / "blobs/sha256").glob("*"):
        assert blob.read_bytes() != bytes(data)
    assert sum(path.endswith(victim.name) for path, _ in trixie.log) <= 1, "never retried"


def test_a_mirror_that_sends_another_suite(find, trixie):
    trixie.write("dists/bookworm/InRelease", trixie.find("dists/trixie/InRelease").read_bytes())
    with pytest.raises(BadSignature, match="is the release file of trixie"):
        find("debian:6.1")


def test_cached_files_are_verified_with_the_current_keyring(find, trixie, tmp_path, mirror):
    find()
    other = tmp_path / "other.pgp"
    other.write_bytes(bytes(type(mirror.key).generate("mallory").extract_certificate()))
    for offline in (False, True):
        with pytest.raises(BadSignature):
            find(keyring=other, offline=offline)


def test_a_mirror_that_changes_its_key(find, trixie, tmp_path):
    find()
    trixie.key = type(trixie.key).generate("new")
    trixie.add("trixie", "arm64", [("linux-image-6.12.2-cloud-arm64", "6.12.2-1", trixie.deb)])
    ring = tmp_path / "new.pgp"
    ring.write_bytes(bytes(trixie.key.extract_certificate()))
    assert find(keyring=ring).version == "6.12.2-1"


def test_a_kernel_that_debian_lacks(find):
    with pytest.raises(
        NotApplicable, match=r"no kernel 5\.10 for riscv64; .*debian:6\.12, debian:7\.2, debian:newest"
    ):
        find("debian:5.10", "riscv64")


def test_a_suite_without_the_architecture(find, trixie, make_deb):
    trixie.add("bookworm-backports", "amd64", [])
    with pytest.raises(NotApplicable, match="in trixie or bookworm-backports"):
        find(arch="riscv64")


def test_offline_the_message_names_the_command(find):
    with pytest.raises(NotCached, match=r"sysevent images fetch --kernel debian:6\.12 --arch arm64"):
        find(offline=True)


def test_falls_back_to_the_next_suite(find, trixie):
    trixie.add(
        "bookworm-backports",
        "arm64",
        [("linux-image-6.12.9+deb12-cloud-arm64", "6.12.9-1~bpo12+1", trixie.deb)],
    )
    assert find().version == "6.12.1-1"
    trixie.add("trixie", "arm64", [])
    assert find(mirror=trixie.url + "/").version == "6.12.9-1~bpo12+1"


def test_newest_is_the_highest_of_all_suites(find, mirror, make_deb, arm64_image):
    image = make_deb({"usr/lib/modules/R/vmlinuz": arm64_image()})
    for suite, version in (
        ("experimental", "7.3~rc7-1"),
        ("sid", "7.2.13-1"),
        ("trixie-backports", "7.3.4-1"),
    ):
        release = f"{version.split('-')[0]}-cloud-arm64"
        names = [
            (f"linux-binary-{release}", version, image),
            (f"linux-modules-{release}", version, make_deb({})),
        ]
        mirror.add(suite, "arm64", names)
    kernel = find("debian:newest")
    assert kernel.version == "7.3.4-1"
    assert mirror.request_count("linux-modules-7.3.4-cloud-arm64_7.3.4-1_arm64.deb") == 1
    assert mirror.request_count("forky/InRelease") == 1, "a mirror without forky is not an error"


def test_no_suite_at_all(find, mirror):
    with pytest.raises(DownloadFailed, match="dists/trixie/InRelease"):
        find()


def test_a_mirror_without_by_hash(find, trixie):
    for path in trixie.root.rglob("by-hash/SHA256/*"):
        path.unlink()
    assert find().version == "6.12.1-1"


def test_a_mirror_whose_index_does_not_match_its_release_file(find, trixie, progress):
    trixie.add("bookworm-backports", "arm64", [("linux-image-6.12.9-cloud-arm64", "6.12.9-1", trixie.deb)])
    for path in trixie.root.rglob("trixie/**/by-hash/SHA256/*"):
        path.unlink()
    trixie.find("trixie/main/binary-arm64/Packages.xz").write_bytes(b"of yesterday")
    assert find().version == "6.12.9-1"
    assert "leaving out trixie" in progress.text


def test_a_damaged_package_in_the_cache_is_fetched_again(find, trixie, progress):
    kernel = find()
    kernel.modules.write_bytes(kernel.modules.read_bytes()[:-1] + b"?")
    kernel.image.unlink()
    assert find() == kernel
    assert kernel.modules.read_bytes() == trixie.deb
    assert "damaged in the cache" in progress.text


def test_modules_are_extracted_once(find, trixie, settings, progress, make_module):
    kernel = find()
    wanted = ["virtio-console", "kvm"]
    loaded = initramfs.kernel_modules(kernel, ARM64, wanted, settings, progress)
    assert [m.name for m in loaded] == ["virtio_ring", "virtio", "virtio_console"]
    assert loaded[0].data == make_module()
    progress.clear()
    assert initramfs.kernel_modules(kernel, ARM64, wanted, settings, progress) == loaded
    assert not progress, "from the cache"


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_modules_are_extracted_again(find, trixie, settings, progress, damage):
    """Also offline, from the package."""
    kernel = find()
    loaded = initramfs.kernel_modules(kernel, ARM64, ["virtio_console"], settings, progress)
    (path,) = (settings.cache / "modules").glob("*.bin")
    DAMAGE[damage](path)
    offline = msgspec.structs.replace(settings, offline=True)
    assert initramfs.kernel_modules(kernel, ARM64, ["virtio_console"], offline, progress) == loaded


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_package_of_modules_is_fetched_again(find, trixie, settings, progress, damage):
    """Offline, it is named in one error with the command that fetches it."""
    kernel = find()
    DAMAGE[damage](kernel.modules)
    offline = msgspec.structs.replace(settings, offline=True)
    with pytest.raises(NotCached, match=r"images fetch --kernel debian:6\.12 --arch arm64` online"):
        initramfs.kernel_modules(kernel, ARM64, ["virtio_console"], offline, progress)
    assert initramfs.kernel_modules(kernel, ARM64, ["virtio_console"], settings, progress)
    assert kernel.modules.read_bytes() == trixie.deb


def test_extracted_modules_do_without_the_package(find, trixie, settings, progress):
    """Offline the package is not needed any more."""
    kernel = find()
    loaded = initramfs.kernel_modules(kernel, ARM64, ["virtio_console"], settings, progress)
    kernel.modules.unlink()
    assert find(offline=True) == kernel
    offline = msgspec.structs.replace(settings, offline=True)
    assert initramfs.kernel_modules(kernel, ARM64, ["virtio_console"], offline, progress) == loaded


def test_threads_share_one_download(trixie, settings, progress):
    trixie.delay = 0.05
    expected = Expected(len(trixie.deb), hashlib.sha256(trixie.deb).hexdigest())
    path = str(trixie.find(DEB).relative_to(trixie.root))
    threads = [
        threading.Thread(target=Archive(settings, progress).blob, args=(path, expected, "x"))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trixie.request_count(DEB) == 1
    assert "waiting for another process" in progress.text


def test_processes_share_one_download(trixie, settings):
    trixie.delay = 0.1
    script = (
        "import sys; from pathlib import Path; from sysevent.arches import architecture;"
        "from sysevent.images.kernel import resolve; from sysevent.images.debian import own_mirror;"
        "from sysevent.settings import Settings;"
        "own_mirror.apt.proxies = lambda url: {};"
        "settings = Settings(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), offline=False);"
        "print(resolve.find('debian:6.12', architecture('arm64'), settings, lambda line: None).image)"
    )
    argv = [sys.executable, "-c", script, settings.cache, settings.mirror, settings.keyring]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    images = {run.communicate(timeout=30)[0] for run in runs}
    assert len(images) == 1
    assert all(run.returncode == 0 for run in runs)
    assert trixie.request_count(DEB) == 1
    assert trixie.request_count("InRelease") == 1


@pytest.mark.parametrize(
    "spec", ["debian:4.4", "debian:", "no/such/file", "tree:/no/such/tree", "ubuntu:24.04"]
)
def test_invalid_specs(find, spec):
    with pytest.raises(UsageError):
        find(spec)


def test_a_mirror_with_another_scheme(find):
    with pytest.raises(UsageError, match="begins with http:// or https://"):
        find(mirror="file:///srv/debian")


def damage(path):
    """Change one bit, and neither the size nor the time."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_flipped_bit_in_a_cached_kernel(find, trixie):
    """It is unpacked again, offline too: the package is there."""
    kernel = find()
    whole = kernel.image.read_bytes()
    damage(kernel.image)
    assert find(offline=True) == kernel
    assert kernel.image.read_bytes() == whole


def test_a_flipped_bit_in_the_package_as_well(find, trixie, settings):
    """It is fetched again; offline one error names what to do."""
    kernel = find()
    whole = kernel.image.read_bytes()
    package = max((settings.cache / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    for path in (kernel.image, package):
        damage(path)
    with pytest.raises(
        NotCached, match=r"offline, and debian:6\.12 arm64: linux-image-.* is not in the cache: run"
    ):
        find(offline=True)
    assert find() == kernel
    assert kernel.image.read_bytes() == whole


def test_the_cache_of_an_older_version(find, trixie):
    """Without a seal a kernel counts as absent, and is unpacked again."""
    kernel = find()
    kernel.image.with_name("vmlinuz.sha256").unlink()
    kernel.image.with_name("unpacked.json").write_text("{}")
    kernel.image.write_bytes(b"damaged long ago")
    again = find(offline=True)
    assert again == kernel
    assert hashlib.sha256(kernel.image.read_bytes()).hexdigest() == kernel.sha256
