# SPDX-License-Identifier: MIT
"""Reads a state file by docs/region-format.md alone, of a process that has ended or stands still. Strict: where the page allows
a reader to skip what is damaged, this one accepts only what a process that was not killed leaves."""
import dataclasses
import struct

HEADER_BYTES, ALL_BYTES = 2144, 2968  # that every header has; that a whole one has
PEAK_IS_OVER = 1 << 62
STACK, MODULE, MAPPED, RANGES = 1, 2, 3, 4
WORD = 2**64


class RegionError(Exception):
    pass


@dataclasses.dataclass
class Sums:
    objects: float
    bytes: float
    variance_objects: float
    variance_bytes: float


@dataclasses.dataclass
class Stack:
    flags: int
    samples: int
    allocated: Sums
    in_use: Sums
    at_peak: Sums
    pcs: list


@dataclasses.dataclass
class Module:
    start: int
    limit: int
    path: str


def text(field):
    return field.split(b"\0")[0].decode()


def hash_words(words):
    value = 0xcbf29ce484222325 ^ len(words)
    for word in words:
        value = (value ^ word) * 0x9fb21c651e98df25 % WORD
        value ^= value >> 29
    return value


def read_sums(data, offset):
    objects, size, variance_objects, variance_bytes = struct.unpack_from("<QQdd", data, offset)
    return Sums(objects / 65536, size / 16, variance_objects, variance_bytes)


class Region:
    def __init__(self, data):
        if data[:8] != b"HEAPPROF":
            raise RegionError("no magic")
        (self.version, self.header_bytes, self.first_segment_bytes, self.pid, self.parent_pid, self.created_unix_ns,
         self.sample_interval_bytes, self.depth) = struct.unpack_from("<IIQIIQQI", data, 8)
        if self.version != 2 or self.header_bytes < HEADER_BYTES or self.header_bytes % 16:
            raise RegionError(f"version {self.version}, a header of {self.header_bytes} bytes")
        self.program, self.allocator = text(data[56:120]), text(data[120:376])
        self.log_end, self.file_end, self.exact_units = struct.unpack_from("<QQQ", data, 376)
        self.lost = struct.unpack_from("<16Q", data, 400)
        (self.own_bytes, self.timed_samples, self.timed_ticks, self.ticks_per_second, self.stack_count, self.look_up_ticks,
         self.cpu_ns, self.pid_namespace,
         self.created_boot_ns) = struct.unpack_from("<QQQQQ16xQQQQ", data, 528)
        self.half_in_use, self.peaks = zip(*struct.iter_unpack("<QQ", data[2112:2144]))
        self.origin, self.end = struct.unpack_from("<QI", data, 1008), struct.unpack_from("<I", data, 1020)[0]
        self.resident, self.resident_most, self.command = *struct.unpack_from("<QQ", data, 1024), text(data[1048:2072])
        self.seen = struct.unpack_from("<64Q", data, 2144)
        self.own_range_count, = struct.unpack_from("<Q", data, 2656)
        self.own_ranges = list(struct.iter_unpack("<QQ", data[2664:2920]))
        self.allocator_counters = struct.unpack_from("<6Q", data, 2920)
        if any(data[ALL_BYTES:self.header_bytes]):
            raise RegionError("the rest of the header is not 0")
        if not self.header_bytes <= self.log_end <= self.file_end <= len(data):
            raise RegionError(f"log_end {self.log_end}, file_end {self.file_end}, {len(data)} bytes")
        self.stacks, self.modules, self.mapped, self.ranges = [], [], {}, []
        for position, kind, record in self._records(data):
            if kind == STACK:
                self.stacks.append(self._stack(record))
            elif kind == MODULE:
                start, limit = struct.unpack_from("<QQ", record, 32)
                self.modules.append(Module(start, limit, text(record[104:])))
            elif kind == MAPPED:
                self.mapped[position // 16] = self._stack(record)
            elif kind == RANGES:
                self.ranges += self._ranges(record)
            else:
                raise RegionError(f"type {kind} at {position}")
        if self.sample_interval_bytes == 1:
            self.exact_units += round(self.sum("allocated", "bytes") + self.sum("allocated", "objects"))

    def _records(self, data):
        position, segment_end = self.header_bytes, self.first_segment_bytes
        while position + 32 <= self.log_end:
            while position >= segment_end:
                segment_end *= 2
            tag, size, offset, words, hashed = struct.unpack_from("<IIIIQ", data, position)
            if tag == 0:  # nothing fitted here
                if any(data[position:segment_end]):
                    raise RegionError(f"an unfinished record at {position}")
                position = segment_end
                continue
            if tag >> 8 != 0x485000 or size % 16 or size < 32 or position + size > segment_end or offset + 8 * words > size:
                raise RegionError(f"a bad record at {position}: {tag:#x} {size} {offset} {words}")
            if hash_words(struct.unpack_from(f"<{words}Q", data, position + offset)) != hashed:
                raise RegionError(f"a wrong hash at {position}")
            yield position, tag & 0xff, data[position:position + size]
            position += size

    @staticmethod
    def _ranges(record):
        """(start, limit, granule of the stack)"""
        count, = struct.unpack_from("<I", record, 24)
        if count != 64 or len(record) != 32 + 16 * count:
            raise RegionError(f"{count} ranges in {len(record)} bytes")
        for word, stack in struct.iter_unpack("<QQ", record[32:]):
            if word & 1:
                raise RegionError("a range that is being changed")
            if word:
                yield (word >> 28) << 12, ((word >> 28) + (word >> 1 & (1 << 27) - 1)) << 12, stack

    def _stack(self, record):
        offset, depth = struct.unpack_from("<II", record, 8)
        if offset != 288:
            raise RegionError(f"a stack whose pcs are at {offset}")
        allocated, freed = read_sums(record, 40), read_sums(record, 88)
        samples, = struct.unpack_from("<Q", record, 32)
        in_use = Sums(*(max(a - b, 0) for a, b in zip(dataclasses.astuple(allocated), dataclasses.astuple(freed))))
        at_peak = self._at_peak(record, in_use)
        return Stack(struct.unpack_from("<I", record, 24)[0], samples, allocated, in_use, at_peak,
                     list(struct.unpack_from(f"<{depth}Q", record, 288)))

    def _at_peak(self, record, in_use):
        """With an interval of 1 what all samples stood for when they did most; else each half at the other one's peak, added up, or
        what is in use if neither has changed since."""
        if self.sample_interval_bytes == 1:
            return self._half(record, 0, self.peaks[0]) or in_use
        if not any(self._half(record, half, self.peaks[1 - half]) for half in (0, 1)):
            return in_use
        halves = []
        for half in (0, 1):
            size, variance = struct.unpack_from("<Qd", record, 128 + 80 * half)
            objects = in_use.objects * (size / 16) / in_use.bytes if in_use.bytes else 0
            halves.append(self._half(record, half, self.peaks[1 - half]) or Sums(objects, size / 16, 0, variance))
        return Sums(*(sum(getattr(half, field) for half in halves) for field in ("objects", "bytes", "variance_objects", "variance_bytes")))

    @staticmethod
    def _half(record, half, peak):
        for slot in (0, 1):
            stamp, objects, size, variance = struct.unpack_from("<QQQd", record, 144 + 80 * half + 32 * slot)
            if stamp == peak | PEAK_IS_OVER:
                return Sums(objects / 65536, size / 16, 0, variance)
        return None

    @property
    def in_use_bytes(self):
        return self.sum("in_use", "bytes")

    @property
    def peak_bytes(self):
        return self.sum("at_peak", "bytes")

    def sum(self, moment, field):
        """Over all stacks; moment: "allocated", "in_use" or "at_peak"."""
        return sum(getattr(getattr(stack, moment), field) for stack in self.stacks)


def load(path):
    with open(path, "rb") as file:
        return Region(file.read())
