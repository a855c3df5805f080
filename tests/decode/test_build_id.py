"""Build IDs in notes, ELF files and raw images; the vDSO's is not the kernel's."""

import struct

import pytest
from kernel_images import elf, note, raw_image

from sysevent.decode import build_id

ID = bytes(range(20))


@pytest.mark.parametrize(
    ("notes", "found"),
    [
        (b"", ""),
        (note(ID), ID.hex()),
        (note(b"\x07", b"Linux\0", 0x101) + note(ID), ID.hex()),
        (note(ID, kind=1), ""),
        (note(ID, b"GNUX"), ""),
        (note(b""), ""),
        (note(ID)[:20], ID[:4].hex()),
        (b"\xff" * 64, ""),
        (bytes(4096), ""),
        (note(bytes(65)), ""),
    ],
)
def test_notes(notes, found):
    assert build_id.of_notes(notes) == found


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("table", ["segments", "sections"])
def test_elf(bits, table):
    """vmlinux has segments, a module has sections only."""
    assert build_id.of_elf(elf(note(ID), bits=bits, table=table)) == ID.hex()


def test_damaged_elf():
    """No prefix of a file, and no changed byte of its header, raises an error."""
    whole = elf(note(ID))
    for size in range(len(whole)):
        assert build_id.of_elf(whole[:size]) in ("", ID.hex())
    for at in range(64):
        for value in (0, 0x7F, 0xFF):
            build_id.of_elf(whole[:at] + bytes([value]) + whole[at + 1 :])


def test_raw_image():
    assert build_id.of_raw_image(raw_image(note(ID))) == (ID.hex(),)


@pytest.mark.parametrize("bits", [32, 64])
def test_the_notes_of_files_inside_an_image_are_not_the_kernels(bits):
    vdso = elf(note(b"v" * 20), bits=bits, table="segments")
    module = elf(note(b"m" * 20), bits=bits, table="sections")
    assert build_id.of_raw_image(raw_image(vdso + note(ID) + module)) == (ID.hex(),)
    assert build_id.of_raw_image(raw_image(vdso + module)) == ()


def test_a_string_that_begins_like_an_elf_file_hides_nothing():
    """binfmt_elf compares with these four bytes, so every kernel has them."""
    assert build_id.of_raw_image(raw_image(b"\x7fELF" + bytes(60) + note(ID))) == (ID.hex(),)


def test_a_note_in_an_image_that_is_too_long():
    assert build_id.of_raw_image(raw_image(note(bytes(100)))) == ()


def test_an_image_with_two_kernels():
    assert len(build_id.of_raw_image(raw_image(note(ID) + note(b"x" * 20) + note(ID)))) == 2


def test_notes_are_aligned():
    assert build_id.of_raw_image(raw_image(b"x" + note(ID))) == ()
    assert build_id.of_raw_image(struct.pack("<I", 3) + b"GNU\0") == ()
