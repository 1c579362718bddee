# SPDX-License-Identifier: MIT
"""Writes pprof profiles with the addresses that a test wants, as independent of the encoder as the reader is."""
import gzip
import os
import pathlib

from . import elf

TYPES = (("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes"))
LOAD_ADDRESS = 0x7F0000000000
PAGE = 4096


def varint(number):
    number &= (1 << 64) - 1
    encoded = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        encoded.append(low | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def encode(mappings, locations, names=(), comments=()):
    """A heap profile, gzip'd. mappings: (start, limit, offset, path, build id); locations: (index of mapping, address),
    each with a sample of its own; names: of the functions of the first locations, in order;
    comments: beside the interval of 1"""
    strings = {"": 0}

    def text(value):
        return strings.setdefault(value, len(strings))

    message = b"".join(field(1, field(1, text(name)) + field(2, text(unit))) for name, unit in TYPES)
    for number, (start, limit, offset, path, build_id) in enumerate(mappings, 1):
        message += field(3, field(1, number) + field(2, start) + field(3, limit) + field(4, offset) +
                         field(5, text(path)) + field(6, text(build_id)))
    parts = []
    for number, (mapping, address) in enumerate(locations, 1):
        line = field(4, field(1, number)) if number <= len(names) else b""
        parts.append(field(2, field(1, varint(number)) + field(2, b"\x01\x64\x01\x64")) +
                     field(4, field(1, number) + field(2, mapping + 1) + field(3, address) + line))
    for number, name in enumerate(names, 1):
        parts.append(field(5, field(1, number) + field(2, text(name)) + field(3, text(name))))
    message += field(9, 1_700_000_000_000_000_000)
    message += field(11, field(1, text("space")) + field(2, text("bytes"))) + field(12, 1)
    for comment in comments:
        message += field(13, text(comment))
    message += field(13, text("# heapprof sampling_interval_bytes: 1")) + field(14, text("inuse_space"))
    return gzip.compress(message + b"".join(parts) + b"".join(field(6, string.encode()) for string in strings), 1)


def write(path, program, addresses, build_id=None, names=()):
    """A profile with these addresses of an ELF file's code, as if it were loaded at LOAD_ADDRESS."""
    code = elf.code_segments(program)
    build_id = elf.build_id(program) if build_id is None else build_id
    mappings = [(LOAD_ADDRESS + s.address // PAGE * PAGE, LOAD_ADDRESS + -(-(s.address + s.bytes) // PAGE) * PAGE,
                 s.offset // PAGE * PAGE, os.path.abspath(program), build_id) for s in code]

    def segment_of(address):
        return next(i for i, s in enumerate(code) if s.address <= address < s.address + s.bytes)

    locations = [(segment_of(address), LOAD_ADDRESS + address) for address in addresses]
    pathlib.Path(path).write_bytes(encode(mappings, locations, names))
