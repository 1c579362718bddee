# SPDX-License-Identifier: MIT
"""A1, at the worst moment: an address has a new owner before the free that gave it up has returned."""
from harness.case import timeout
from hazards.toolbox import AsWithout, library, program


class Row1Handover(AsWithout):
    """Seen to fail (nothing in use) when the table is updated after the real free: by the mutant record_after_free
    (make mutants)."""
    samples = (4096, None)  # and 1 below

    def command(self):
        return [program("hz_a1_handover.c")]

    @timeout(200)
    def test_as_without(self):
        super().test_as_without()

    def options(self):
        return {"extra_preload": [library("hz_handing_allocator.c")]}

    def test_what_is_kept_is_in_use(self):
        run = self.profiled(self.command(), sample=1, **self.options())
        self.assertEqual(run.shadows[run.pid]["inuse_objects"], 500)
        self.check_exact(run.profile, run.shadows[run.pid])
