# SPDX-License-Identifier: MIT
"""The variances of a profile's values: a field of our own, that says the same as the comments, and that no reader minds."""
import gzip
import io
import math

from harness import pprof_reader, tools
from harness.case import Case, cases

SAMPLE_FIELD, VARIANCE_FIELD = 2, 61001


def put_varint(out, value):
    while value > 127:
        out.write(bytes([value & 127 | 128]))
        value >>= 7
    out.write(bytes([value]))


def put_field(out, number, wire, value):
    put_varint(out, number << 3 | wire)
    if wire == pprof_reader.BYTES:
        put_varint(out, len(value))
        out.write(value)
    else:
        put_varint(out, value)


def without(data, number):
    """A message without its fields of that number."""
    out = io.BytesIO()
    for field, wire, value in pprof_reader.read_fields(data):
        if field != number:
            put_field(out, field, wire, value)
    return out.getvalue()


def without_variances(data):
    out = io.BytesIO()
    for field, wire, value in pprof_reader.read_fields(data):
        put_field(out, field, wire, without(value, VARIANCE_FIELD) if field == SAMPLE_FIELD else value)
    return out.getvalue()


class Variance(Case):
    @cases(512, 8192)
    def test_sums_are_those_of_the_comments(self, interval):
        profile = self.profiled([self.victim("churn")], sample=interval, seed=3).profile
        self.check_lint(profile)
        for name, _ in profile.sample_types:
            variance = sum(sample.variances.get(name, 0) for sample in profile.samples)
            said = profile.comment_values()[f"standard_error.{name}"]
            self.assertAlmostEqual(math.sqrt(variance), said, delta=0.51 + said * 1e-6)  # a whole number; floats
        self.assertGreater(profile.comment_values()["standard_error.alloc_space"], interval)

    def test_exact_values_have_none(self):
        profile = self.profiled([self.victim("churn")], sample=1).profile
        self.assertEqual([sample.variances for sample in profile.samples], [{}] * len(profile.samples))

    def test_certain_stacks_have_none(self):
        """An object of 64 MiB is no estimate, beside others that are."""
        profile = self.profiled([self.victim("leak")], expect=7, sample=4096).profile
        large, = profile.select(lambda frames: "victim_large" in frames)
        self.assertEqual(large.variances, {})
        self.assertTrue(any(sample.variances for sample in profile.samples))

    @cases(*tools.PPROFS)
    def test_other_readers_skip_them(self, which):
        run = self.profiled([self.victim("churn")], sample=512)
        data = gzip.decompress(run.files[0].read_bytes())
        plain = self.dir / "plain.pb.gz"
        plain.write_bytes(gzip.compress(without_variances(data)))
        self.assertLess(len(without_variances(data)), len(data) - 16)
        self.assertEqual(pprof_reader.load(plain).totals(), run.profile.totals())
        self.assertEqual(tools.pprof(which, "-raw", run.files[0]), tools.pprof(which, "-raw", plain))
        for name, _ in run.profile.sample_types:
            self.assertEqual(tools.pprof_top(which, run.files[0], name), tools.pprof_top(which, plain, name))
