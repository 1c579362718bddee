# SPDX-License-Identifier: MIT
"""What tests need to know about ELF files (64 bits, little-endian)."""
import dataclasses
import pathlib
import random
import struct
import subprocess

PT_LOAD, PT_NOTE, PF_X, NT_GNU_BUILD_ID = 1, 4, 1, 3


@dataclasses.dataclass
class Segment:
    kind: int
    flags: int
    offset: int
    address: int
    bytes: int  # in the file


def segments(path):
    data = pathlib.Path(path).read_bytes()
    (position,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, flags, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", data, position + i * size)
        yield Segment(kind, flags, offset, address, in_file)


def code_segments(path):
    return [s for s in segments(path) if s.kind == PT_LOAD and s.flags & PF_X]


def build_id(path):
    """In hexadecimal, "" if there is none."""
    data = pathlib.Path(path).read_bytes()
    for segment in segments(path):
        position = segment.offset
        while segment.kind == PT_NOTE and position < segment.offset + segment.bytes:
            name_bytes, bytes_, kind = struct.unpack_from("<III", data, position)
            start = position + 12 + -(-name_bytes // 4) * 4
            if kind == NT_GNU_BUILD_ID:
                return data[start:start + bytes_].hex()
            position = start + -(-bytes_ // 4) * 4
    return ""


@dataclasses.dataclass
class Symbol:
    address: int
    bytes: int
    name: str


def functions(path):
    """Those of the symbol table that have a size."""
    listing = subprocess.run(["nm", "-S", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    words = [line.split() for line in listing.splitlines()]
    return [Symbol(int(w[0], 16), int(w[1], 16), w[3])
            for w in words if len(w) == 4 and w[2] in "tTwWi" and int(w[1], 16)]


def sample_addresses(path, count, seed=1):
    """So many different addresses in functions, the same for the same file."""
    chosen, found, generator = functions(path), set(), random.Random(seed)
    while len(found) < min(count, sum(f.bytes for f in chosen) // 4):
        function = generator.choice(chosen)
        found.add(function.address + generator.randrange(function.bytes))
    return sorted(found)
