# SPDX-License-Identifier: MIT
"""What every heap profile of ours must satisfy, whatever program it is of. As a program: lint.py PROFILE..."""
import math
import re
import sys

if __package__:
    from . import pprof_reader
else:
    import pprof_reader

SAMPLE_TYPES = [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes"),
                ("peak_objects", "count"), ("peak_space", "bytes")]
PAGE = 4096


def lint_header(profile):
    if profile.sample_types not in (SAMPLE_TYPES, SAMPLE_TYPES[:4]):  # those of older versions have no peak
        yield f"sample types are {profile.sample_types}"
    if profile.default_sample_type != "inuse_space":
        yield f"default_sample_type is {profile.default_sample_type!r}"
    if profile.period_type != ("space", "bytes"):
        yield f"period_type is {profile.period_type}"
    interval = profile.comment_values().get("sampling_interval_bytes")
    if profile.period < 1 or profile.period != interval:
        yield f"period is {profile.period}, the comment sampling_interval_bytes {interval}"
    if not 1_577_836_800 < profile.time_nanos / 1e9 < 4_102_444_800:
        yield f"time_nanos is {profile.time_nanos}, not a time between 2020 and 2100"
    if (profile.duration_nanos != 0) != ("delta" in profile.comment_values()):
        yield f"duration_nanos is {profile.duration_nanos}, and that is {'no' if profile.duration_nanos else 'a'} delta"
    if profile.drop_frames:
        try:
            expression = re.compile(profile.drop_frames)
        except re.error as error:
            yield f"drop_frames: {error}"
        else:
            for innocent in ("allocate", "victim_malloc", "malloc_config", "my_free", "main"):
                if expression.fullmatch(innocent):
                    yield f"drop_frames drops {innocent}"


def lint_strings(profile):
    if not profile.strings or profile.strings[0] != "":
        yield "string_table[0] is not empty"
    seen = set()
    for text in profile.strings:
        if text in seen:
            yield f"string_table has {text!r} twice"
        seen.add(text)


def lint_ids(profile):
    for what in ("mappings", "locations", "functions"):
        ids = [entry.id for entry in getattr(profile, what)]
        if ids != list(range(1, len(ids) + 1)):
            yield f"ids of {what} are not 1 to {len(ids)} in order: {ids[:10]}..."


def lint_samples(profile):
    stacks = set()
    is_of_peak = profile.comment_values().get("moment") == "peak"
    is_delta = "delta" in profile.comment_values()
    for number, sample in enumerate(profile.samples):
        values = sample.values
        if not any(values.values()):
            yield f"sample {number} is all zero"
        if min(values.values()) < 0:
            yield f"sample {number} is negative: {values}"
        # Of a peak, what was in use and what was allocated are estimates by different samples.
        for kind in ("objects", "space") if not is_delta and (not is_of_peak or profile.period == 1) else ():
            if values.get(f"inuse_{kind}", 0) > values.get(f"alloc_{kind}", 0):
                yield f"sample {number} has more in use than allocated: {values}"
            if profile.period == 1 and values.get(f"peak_{kind}", 0) > values.get(f"alloc_{kind}", 0):
                yield f"sample {number} had more at the peak than was allocated: {values}"
        for name, variance in sample.variances.items():
            if not 0 <= variance < math.inf or profile.period == 1:
                yield f"sample {number}: the variance of {name} is {variance} at an interval of {profile.period}"
        if sample.variances and not any(sample.variances.values()):
            yield f"sample {number} says that its variances are 0"
        if not sample.locations:
            yield f"sample {number} has no location"
        stack = (tuple(location.id for location in sample.locations), tuple(sorted(sample.labels.items())))
        if stack in stacks:
            yield f"sample {number} has the stack and labels of an earlier one"
        stacks.add(stack)


def lint_locations(profile):
    addresses = set()
    for location in profile.locations:
        name = f"location {location.id} ({location.address:#x})"
        if location.address == 0:
            yield f"{name} has address 0"
        if location.address in addresses:
            yield f"{name} has the address of an earlier one"
        addresses.add(location.address)
        mapping = location.mapping
        if mapping and not mapping.start <= location.address < mapping.limit:
            yield f"{name} lies outside its mapping {mapping}"
        for function in location.functions:
            if not function.name or not function.system_name:
                yield f"{name} has a function without a name: {function}"


def lint_mappings(profile, program):
    for mapping in profile.mappings:
        name = f"mapping {mapping.id} ({mapping.filename})"
        if not mapping.filename or mapping.filename.endswith(" (deleted)"):
            yield f"{name}: bad file name"
        if mapping.start >= mapping.limit:
            yield f"{name}: {mapping.start:#x} to {mapping.limit:#x}"
        if mapping.start % PAGE or mapping.limit % PAGE or mapping.offset % PAGE:
            yield f"{name}: start, limit or offset is not page-aligned: {mapping}"
        if not re.fullmatch(r"([0-9a-f]{2})*", mapping.build_id):
            yield f"{name}: build id {mapping.build_id!r} is not lowercase hexadecimal"
    if not profile.mappings:
        yield "there is no mapping"
    elif program and profile.mappings[0].filename != program:
        yield f"the first mapping is {profile.mappings[0].filename}, not the main binary {program}"
    elif re.search(r"\.so(\.|$)|^//|^\[", profile.mappings[0].filename):
        yield f"the first mapping is {profile.mappings[0].filename}, not the main binary"


def lint(profile, program=None):
    """The violations, as a list of texts. program: the path the first mapping must have."""
    return [*lint_header(profile), *lint_strings(profile), *lint_ids(profile), *lint_samples(profile),
            *lint_locations(profile), *lint_mappings(profile, program)]


def main(paths):
    status = 0
    for path in paths:
        try:
            problems = lint(pprof_reader.load(path))
        except (OSError, pprof_reader.ProfileError) as error:
            problems = [str(error)]
        for problem in problems:
            print(f"{path}: {problem}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
