"""The step that records which addresses of the kernel are executed. A file stands in for a thread's area of KCOV."""

import struct
from errno import EINVAL, ENOENT, ENOTTY

import pytest
from vmm_sources import changed

from sysevent import wire
from sysevent.decode.kcov import executed
from sysevent.model import Answer
from sysevent.wire import Op, State

# An area has whole pages of the largest size.
WORDS = 8192
LOWEST = 0xFFFF_8000_8000_1000


@pytest.fixture(scope="session")
def recording(own_cache, tmp_path_factory):
    """A VMM that needs neither KVM nor KCOV, and the file that its threads take for their areas."""
    folder = tmp_path_factory.mktemp("recording")
    changes = {
        r'"/dev/kvm"': '"/dev/null"',
        r'"/sys/kernel/debug/kcov"': f'"{folder}/kcov"',
        r"sys_ioctl\(fd, KCOV_INIT_TRACE, cover_words\)": "0",
        r"sys_ioctl\(fd, KCOV_ENABLE, KCOV_TRACE_PC\)": "0",
    }
    return changed(own_cache, folder, changes), folder / "kcov"


@pytest.fixture
def area(recording):
    """The file: in its first word the number of addresses, then the addresses."""
    path = recording[1]
    path.write_bytes(bytes(8 * 30_000))
    yield path
    path.unlink()


@pytest.fixture
def vmm(program, recording, serve):
    return serve(program.path, recording[0])


def cover(steps, words=0):
    return steps.any(Op.COVER, struct.pack("<I", words))


def record(area, *addresses, count=None):
    """What the kernel does while a thread executes these addresses."""
    with area.open("r+b") as file:
        words = (len(addresses) if count is None else count, *addresses)
        file.write(struct.pack(f"<{len(words)}Q", *words))


def ended(vmm, steps):
    (found,) = vmm.ask(cover(steps)).results
    return executed(Answer(found.ret, found.errno, found.body))


def test_each_address_is_returned_once(vmm, steps, area):
    (begun,) = vmm.ask(cover(steps, WORDS)).results
    assert (begun.ret, begun.errno, begun.body) == (0, 0, b"")
    record(area, LOWEST + 8, LOWEST, LOWEST + 8, LOWEST + 0x1234_5678, 0)
    found = ended(vmm, steps)
    assert found.addresses == {LOWEST, LOWEST + 8, LOWEST + 0x1234_5678}
    assert not found.cut


def test_the_next_scenario_begins_with_none(vmm, steps, area):
    """The areas stay, and their numbers are set to 0."""
    vmm.ask(cover(steps, WORDS))
    record(area, LOWEST)
    assert ended(vmm, steps).addresses == {LOWEST}
    vmm.ask(cover(steps, WORDS))
    assert area.read_bytes()[:8] == bytes(8)
    assert ended(vmm, steps).addresses == frozenset()


def test_a_full_area_is_cut(vmm, steps, area):
    """KCOV stops where the area ends, and a number that is larger is not believed."""
    vmm.ask(cover(steps, WORDS))
    record(area, *range(LOWEST, LOWEST + 2 * WORDS - 2, 2), count=1 << 40)
    found = ended(vmm, steps)
    assert found.cut
    assert len(found.addresses) == WORDS - 1


def test_more_addresses_than_are_kept_are_cut(vmm, steps, area):
    vmm.ask(cover(steps, 20_000))
    record(area, *range(LOWEST, LOWEST + 4 * 19_000, 4))
    found = ended(vmm, steps)
    assert found.cut
    assert len(found.addresses) == wire.COVER_MAX


def test_addresses_that_are_too_far_from_each_other_are_cut(vmm, steps, area):
    vmm.ask(cover(steps, WORDS))
    record(area, LOWEST, LOWEST + (1 << 33))
    assert ended(vmm, steps).cut


def test_errors(vmm, steps):
    """Without the file, and without a beginning; the scenario goes on."""
    reply = vmm.ask(cover(steps), cover(steps, 1), cover(steps, WORDS), cover(steps))
    assert reply.state is State.DONE
    assert [found.errno for found in reply.results] == [EINVAL, EINVAL, ENOENT, ENOENT]


def test_a_file_that_is_not_kcov(own_cache, program, serve, steps, tmp_path):
    path = tmp_path / "kcov"
    path.write_bytes(bytes(64))
    changes = {r'"/dev/kvm"': '"/dev/null"', r'"/sys/kernel/debug/kcov"': f'"{path}"'}
    other = serve(program.path, changed(own_cache, tmp_path, changes))
    assert [one.errno for one in other.ask(cover(steps, WORDS), cover(steps)).results] == [ENOTTY, ENOTTY]
