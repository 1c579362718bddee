# SPDX-License-Identifier: MIT
"""Writes profiles that no program has made: with the stacks, lines, values and variances that a test wants."""
import gzip
import struct

from .pprof_writer import TYPES, field, varint

VARIANCE = 61001
START, STEP = 0x1000, 16


class Table(dict):
    """key -> number, the next one for a new key"""
    def __init__(self, first):
        self.first = first

    def __missing__(self, key):
        self[key] = len(self) + self.first
        return self[key]


def numbers(values):
    return b"".join(map(varint, values))


def encode(stacks, comments=(), types=TYPES, default_type="inuse_space", time_nanos=10**18, mapping="/usr/bin/made"):
    """stacks: (frames, values, variances or None, and labels as (key, text) or (key, number[, unit])), frames leaf first: (name, file,
    line), or a list of these for a place with inlined functions, innermost first; comments: (key, value)"""
    strings, functions, locations = Table(0), Table(1), Table(1)
    strings[""]
    message = bytearray()
    for name, unit in types:
        message += field(1, field(1, strings[name]) + field(2, strings[unit]))
    for frames, values, variances, *labels in stacks:
        places = [tuple(frame) if isinstance(frame, list) else (frame,) for frame in frames]
        sample = field(1, numbers(locations[place] for place in places)) + field(2, numbers(values))
        for key, value, *unit in labels:
            text = field(2, strings[value]) if isinstance(value, str) else field(3, value)
            sample += field(3, field(1, strings[key]) + text + b"".join(field(4, strings[name]) for name in unit))
        if variances:
            sample += field(VARIANCE, struct.pack(f"<{len(variances)}f", *variances))
        message += field(2, sample)
    message += field(3, field(1, 1) + field(2, START) + field(3, 1 << 40) + field(5, strings[mapping]) + field(7, 1))
    for place, of_place in locations.items():
        lines = b"".join(field(4, field(1, functions[name, file]) + field(2, line)) for name, file, line in place)
        message += field(4, field(1, of_place) + field(2, 1) + field(3, START + STEP * of_place) + lines)
    for (name, file), of_function in functions.items():
        message += field(5, field(1, of_function) + field(2, strings[name]) + field(3, strings[name]) + field(4, strings[file]))
    message += field(13, numbers(strings[f"# heapprof {key}: {value}"] for key, value in comments))
    message += field(9, time_nanos) + field(14, strings[default_type])
    for text in strings:
        message += field(6, text.encode("utf-8", "surrogateescape"))
    return bytes(message)


def write(path, *arguments, **options):
    path.write_bytes(gzip.compress(encode(*arguments, **options), compresslevel=1))
    return path
