# SPDX-License-Identifier: MIT
"""Reads a gzip'd pprof profile.proto, by hand and with the standard library only, so that no bug is shared with the
encoder under test: nothing here was generated from a .proto file. Anything malformed raises ProfileError.
"""
import dataclasses
import re
import struct
import zlib


class ProfileError(Exception):
    pass


VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def read_varint(data, position):
    value = shift = 0
    while True:
        if position >= len(data):
            raise ProfileError("a varint runs past the end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                raise ProfileError("a varint of more than 64 bits")
            return value, position
        shift += 7
        if shift > 63:
            raise ProfileError("a varint of more than 10 bytes")


def read_fields(data):
    """Yields (field number, wire type, value) of one message."""
    position = 0
    while position < len(data):
        key, position = read_varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ProfileError("field number 0")
        if wire == VARINT:
            value, position = read_varint(data, position)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            value, position = data[position:position + size], position + size
        elif wire == BYTES:
            size, position = read_varint(data, position)
            value, position = data[position:position + size], position + size
        else:
            raise ProfileError(f"wire type {wire} of field {number}")
        if position > len(data):
            raise ProfileError(f"field {number} runs past the end of its message")
        yield number, wire, value


def signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


def unpack(wire, value):
    """The numbers of a repeated integer field, packed or not."""
    if wire == VARINT:
        return [signed(value)]
    numbers, position = [], 0
    while position < len(value):
        number, position = read_varint(value, position)
        numbers.append(signed(number))
    return numbers


def unpack_floats(wire, value):
    """The numbers of a repeated float field, packed or not."""
    data = value if wire == BYTES else bytes(value)
    if len(data) % 4:
        raise ProfileError(f"{len(data)} bytes of packed floats")
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def read_message(data, what, schema):
    """schema: field number -> (name, kind); kind is int, bytes, "ints", "floats" or "messages"."""
    message = {name: {int: 0, bytes: b""}.get(kind) if kind in (int, bytes) else [] for name, kind in schema.values()}
    for number, wire, value in read_fields(data):
        if number not in schema:
            raise ProfileError(f"{what} has an unknown field {number}")
        name, kind = schema[number]
        accepted = {int: (VARINT,), "ints": (VARINT, BYTES), "floats": (FIXED32, BYTES)}.get(kind, (BYTES,))
        if wire not in accepted:
            raise ProfileError(f"{what}.{name} has wire type {wire}")
        if kind is int:
            message[name] = signed(value)
        elif kind is bytes:
            message[name] = value
        elif kind == "ints":
            message[name] += unpack(wire, value)
        elif kind == "floats":
            message[name] += unpack_floats(wire, value)
        else:
            message[name].append(value)
    return message


PROFILE = {1: ("sample_type", "messages"), 2: ("sample", "messages"), 3: ("mapping", "messages"),
           4: ("location", "messages"), 5: ("function", "messages"), 6: ("string_table", "messages"),
           7: ("drop_frames", int), 8: ("keep_frames", int), 9: ("time_nanos", int), 10: ("duration_nanos", int),
           11: ("period_type", bytes), 12: ("period", int), 13: ("comment", "ints"), 14: ("default_sample_type", int),
           15: ("doc_url", int)}
VALUE_TYPE = {1: ("type", int), 2: ("unit", int)}
SAMPLE = {1: ("location_id", "ints"), 2: ("value", "ints"), 3: ("label", "messages"), 61001: ("variance", "floats")}
LABEL = {1: ("key", int), 2: ("str", int), 3: ("num", int), 4: ("num_unit", int)}
MAPPING = {1: ("id", int), 2: ("start", int), 3: ("limit", int), 4: ("offset", int), 5: ("filename", int),
           6: ("build_id", int), 7: ("has_functions", int), 8: ("has_filenames", int), 9: ("has_line_numbers", int),
           10: ("has_inline_frames", int)}
LOCATION = {1: ("id", int), 2: ("mapping_id", int), 3: ("address", int), 4: ("line", "messages"), 5: ("is_folded", int)}
LINE = {1: ("function_id", int), 2: ("line", int), 3: ("column", int)}
FUNCTION = {1: ("id", int), 2: ("name", int), 3: ("system_name", int), 4: ("filename", int), 5: ("start_line", int)}


@dataclasses.dataclass
class Mapping:
    id: int
    start: int
    limit: int
    offset: int
    filename: str
    build_id: str
    has_functions: bool
    has_filenames: bool
    has_line_numbers: bool
    has_inline_frames: bool


@dataclasses.dataclass
class Function:
    id: int
    name: str
    system_name: str
    filename: str
    start_line: int


@dataclasses.dataclass
class Location:
    id: int
    mapping: Mapping
    address: int
    functions: list  # innermost first
    line_numbers: list


@dataclasses.dataclass
class Sample:
    locations: list  # leaf first
    values: dict     # sample type -> value
    labels: dict     # key -> string or number
    variances: dict  # sample type -> variance; empty if the profile does not say

    def raw_frames(self):
        """Function names, leaf first; a frame without a name is its address."""
        return [name for location in self.locations
                for name in ([f.name for f in location.functions] or [f"{location.address:#x}"])]


class Profile:
    def __init__(self, data):
        """data: the uncompressed message."""
        top = read_message(data, "Profile", PROFILE)
        try:
            self.strings = [s.decode() for s in top["string_table"]]
        except UnicodeDecodeError as error:
            raise ProfileError(f"string_table is not UTF-8: {error}") from None
        value_types = [read_message(m, "ValueType", VALUE_TYPE) for m in top["sample_type"]]
        self.sample_types = [(self._string(v["type"]), self._string(v["unit"])) for v in value_types]
        self.mappings = [self._mapping(m) for m in top["mapping"]]
        self.functions = [self._function(m) for m in top["function"]]
        mappings = {m.id: m for m in self.mappings}
        functions = {f.id: f for f in self.functions}
        self.locations = [self._location(m, mappings, functions) for m in top["location"]]
        locations = {location.id: location for location in self.locations}
        self.samples = [self._sample(m, locations) for m in top["sample"]]
        self.comments = [self._string(i) for i in top["comment"]]
        self.time_nanos, self.duration_nanos, self.period = top["time_nanos"], top["duration_nanos"], top["period"]
        period_type = read_message(top["period_type"], "ValueType", VALUE_TYPE)
        self.period_type = (self._string(period_type["type"]), self._string(period_type["unit"]))
        self.default_sample_type = self._string(top["default_sample_type"])
        self.drop_frames = self._string(top["drop_frames"])
        self.keep_frames = self._string(top["keep_frames"])

    def _string(self, index):
        if not 0 <= index < len(self.strings):
            raise ProfileError(f"string {index} of {len(self.strings)}")
        return self.strings[index]

    @staticmethod
    def _lookup(table, key, what):
        if key not in table:
            raise ProfileError(f"{what} {key} does not exist")
        return table[key]

    def _mapping(self, data):
        m = read_message(data, "Mapping", MAPPING)
        return Mapping(m["id"], m["start"] % 2**64, m["limit"] % 2**64, m["offset"] % 2**64, self._string(m["filename"]),
                       self._string(m["build_id"]), bool(m["has_functions"]), bool(m["has_filenames"]),
                       bool(m["has_line_numbers"]), bool(m["has_inline_frames"]))

    def _function(self, data):
        f = read_message(data, "Function", FUNCTION)
        return Function(f["id"], self._string(f["name"]), self._string(f["system_name"]), self._string(f["filename"]),
                        f["start_line"])

    def _location(self, data, mappings, functions):
        entry = read_message(data, "Location", LOCATION)
        lines = [read_message(line, "Line", LINE) for line in entry["line"]]
        mapping = self._lookup(mappings, entry["mapping_id"], "mapping") if entry["mapping_id"] else None
        return Location(entry["id"], mapping, entry["address"] % 2**64,
                        [self._lookup(functions, line["function_id"], "function") for line in lines],
                        [line["line"] for line in lines])

    def _sample(self, data, locations):
        sample = read_message(data, "Sample", SAMPLE)
        if len(sample["value"]) != len(self.sample_types):
            raise ProfileError(f"a sample has {len(sample['value'])} values for {len(self.sample_types)} sample types")
        if len(sample["variance"]) not in (0, len(self.sample_types)):
            raise ProfileError(f"a sample has {len(sample['variance'])} variances for {len(self.sample_types)} sample types")
        labels = [read_message(label, "Label", LABEL) for label in sample["label"]]
        return Sample([self._lookup(locations, i, "location") for i in sample["location_id"]],
                      {name: value for (name, _), value in zip(self.sample_types, sample["value"])},
                      {self._string(label["key"]): self._string(label["str"]) if label["str"] else label["num"]
                       for label in labels},
                      {name: variance for (name, _), variance in zip(self.sample_types, sample["variance"])})

    def frames(self, sample):
        """Function names, leaf first, after drop_frames as pprof applies it: the outermost match below a frame of the
        program goes, with all it called."""
        names = sample.raw_frames()
        if not self.drop_frames:
            return names
        in_program = False
        for i in range(len(names) - 1, -1, -1):
            kept = self.keep_frames and re.fullmatch(self.keep_frames, names[i])
            if kept or not re.fullmatch(self.drop_frames, names[i]):
                in_program = True
            elif in_program:
                return names[i + 1:]
        return names

    def select(self, where=None):
        return [s for s in self.samples if where is None or where(self.frames(s))]

    def total(self, sample_type, where=None):
        return sum(s.values[sample_type] for s in self.select(where))

    def totals(self, where=None):
        return {name: self.total(name, where) for name, _ in self.sample_types}

    def counted(self, where=None):
        """The totals but for the peak: what a program can count by itself."""
        return {name: total for name, total in self.totals(where).items() if not name.startswith("peak_")}

    def stacks(self, sample_type, where=None):
        """tuple of function names, leaf first -> value"""
        stacks = {}
        for sample in self.select(where):
            key = tuple(self.frames(sample))
            stacks[key] = stacks.get(key, 0) + sample.values[sample_type]
        return stacks

    def functions_of(self, sample_type):
        """Every function name on a stack whose value of that type is not 0."""
        return {name for s in self.samples if s.values[sample_type] for name in s.raw_frames()}

    def comment_values(self):
        """The lines `# heapprof key: value`, as a dictionary; whole numbers as int."""
        values = {}
        for comment in self.comments:
            match = re.fullmatch(r"# heapprof ([^:]+): (.*)", comment, re.DOTALL)
            if match:
                key, value = match.groups()
                values[key] = int(value) if re.fullmatch(r"-?\d+", value) else value
        return values


def gunzip_one_member(data):
    decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        message = decoder.decompress(data) + decoder.flush()
    except zlib.error as error:
        raise ProfileError(f"gzip: {error}") from None
    if not decoder.eof:
        raise ProfileError("the gzip member is cut short")
    if decoder.unused_data:
        raise ProfileError(f"{len(decoder.unused_data)} bytes after the gzip member")
    return message


def load(path):
    with open(path, "rb") as file:
        return Profile(gunzip_one_member(file.read()))
