"""The build ID of the kernel in an image file, of any format."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sysevent.decode import build_id
from sysevent.errors import ImageError, ToolMissing
from sysevent.images import compression
from sysevent.images.kernel import bootfile, payload
from sysevent.reading import read_file


class ImageBuildId(msgspec.Struct, frozen=True):
    """The build ID of a kernel image, or why it cannot be read."""

    # In hexadecimal.
    value: str
    obstacle: str = ""


def file_build_id(path: Path) -> tuple[str, str]:
    """Return the build ID of the kernel in an image file, or "" and why it cannot be read."""
    try:
        found = image_build_id(read_file(path, compression.OUTPUT_MAX), str(path))
    except OSError as error:
        return "", f"cannot read {path}: {error.strerror}"
    return found.value, found.obstacle


def image_build_id(data: bytes, name: str) -> ImageBuildId:
    """Return the build ID of the kernel in an image of any format that bootfile.inspect() knows."""
    if data[:4] == b"\x7fELF":
        return elf_build_id(data, name)
    if payload.is_bzimage(data):
        try:
            return elf_build_id(payload.unpacked(data, name), f"the kernel inside {name}")
        except (ImageError, ToolMissing) as error:
            return ImageBuildId("", str(error))
    try:
        plain = bootfile.inspect(data, name).unwrapped
    except (ImageError, ToolMissing) as error:
        return ImageBuildId("", str(error))
    found = build_id.of_raw_image(data if plain is None else plain)
    if len(found) == 1:
        return ImageBuildId(found[0])
    return ImageBuildId("", f"{name} holds {len(found) or 'no'} build IDs")


def elf_build_id(data: bytes, name: str) -> ImageBuildId:
    """Return the build ID of an ELF kernel; name is for the obstacle."""
    found = build_id.of_elf(data)
    return ImageBuildId(found, "" if found else f"{name} has no build ID")
