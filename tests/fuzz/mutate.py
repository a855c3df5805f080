"""Seeded mutations of samples: bytes, integers, chunks, and for text numbers, lines and tokens."""

import random
import re

_BYTES = (0, 1, 0x20, 0x7F, 0x80, 0xFF)
_INTEGERS = (
    0,
    1,
    2,
    3,
    7,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**64 - 1,
)
_NUMBERS = (
    b"-1",
    b"0",
    b"1",
    b"99999999999999999999",
    b"9" * 5000,
    b"1e999",
    b"0x10",
    b"",
    b"\xd9\xa3",
    b"NaN",
)
_NUMBER = re.compile(rb"\d+")


def mutate(source, samples, tokens=(), text=False):
    """Return a mutation of one of the samples; source is a random.Random. text: also mutate it as text."""
    data = bytearray(source.choice(samples))
    kinds = _ANY + _TEXT * 2 if text else _ANY
    for _ in range(source.choice((1, 1, 1, 2, 3, 6))):
        source.choice(kinds)(data, source, samples, tokens)
        del data[1 << 20 :]
    return bytes(data)


def _flip(data, source, samples, tokens):
    if data:
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def _byte(data, source, samples, tokens):
    if data:
        data[source.randrange(len(data))] = source.choice(_BYTES)


def _integer(data, source, samples, tokens):
    size = source.choice((2, 4, 4, 4, 8))
    if len(data) < size:
        return
    # Mostly at an aligned offset, half of the time in the header.
    at = source.randrange(min(len(data), source.choice((64, 256, len(data)))) - size + 1 or 1)
    at -= at % source.choice((1, size))
    old = int.from_bytes(data[at : at + size], "little")
    new = source.choice(
        (*_INTEGERS, old + 1, old - 1, old * 2, len(data), len(data) - at, source.randrange(256))
    )
    data[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, source.choice(("little", "little", "big")))


def _cut(data, source, samples, tokens):
    del data[source.randrange(len(data) + 1) :]


def _chunk(data, source):
    begin = source.randrange(len(data) + 1)
    return begin, min(
        len(data), begin + source.choice((1, 4, 12, 16, 60, 512, source.randrange(len(data) + 1)))
    )


def _delete(data, source, samples, tokens):
    begin, end = _chunk(data, source)
    del data[begin:end]


def _repeat(data, source, samples, tokens):
    begin, end = _chunk(data, source)
    data[end:end] = data[begin:end] * min(source.choice((1, 2, 50, 1000)), (1 << 18) // max(end - begin, 1))


def _move(data, source, samples, tokens):
    begin, end = _chunk(data, source)
    piece = data[begin:end]
    del data[begin:end]
    at = source.randrange(len(data) + 1)
    data[at:at] = piece


def _splice(data, source, samples, tokens):
    other = source.choice(samples)
    begin, end = _chunk(other, source)
    at = source.randrange(len(data) + 1)
    data[at : at + source.choice((0, end - begin))] = other[begin:end]


def _insert(data, source, samples, tokens):
    at = source.randrange(len(data) + 1)
    data[at:at] = bytes(source.randrange(256) for _ in range(source.choice((1, 4, 16))))


def _number(data, source, samples, tokens):
    found = list(_NUMBER.finditer(data))
    if found:
        chosen = source.choice(found)
        data[slice(*chosen.span())] = source.choice(_NUMBERS)


def _line(data, source, samples, tokens):
    lines = data.split(b"\n")
    begin = source.randrange(len(lines))
    match source.randrange(4):
        case 0:
            del lines[begin]
        case 1:
            lines[begin:begin] = [lines[begin]] * source.choice((1, 1, 300))
        case 2:
            lines.insert(source.randrange(len(lines)), lines.pop(begin))
        case _:
            lines[begin] = (
                lines[begin] * source.choice((2, 1000)) if len(lines[begin]) < 300 else lines[begin]
            )
    data[:] = b"\n".join(lines)


def _token(data, source, samples, tokens):
    if tokens:
        at = source.randrange(len(data) + 1)
        data[at : at + source.choice((0, 0, 1, 8))] = source.choice(tokens) * source.choice(
            (1, 1, 1, 2, 3000)
        )


_ANY = (_flip, _byte, _integer, _integer, _cut, _delete, _repeat, _move, _splice, _insert, _token)
_TEXT = (_number, _line, _token)


def random_source(*seed):
    """Return a random.Random that gives the same numbers for the same seed."""
    return random.Random(repr(seed))
