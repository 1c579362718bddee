# SPDX-License-Identifier: MIT
"""A1, at the worst moment: an address has a new owner before the free that gave it up has returned."""
from hazards.toolbox import Hazard, library, program


class Row1Handover(Hazard):
    """Seen to fail (nothing in use) when the table is updated after the real free: by the mutant record_after_free
    (make mutants)."""

    def test_what_is_kept_is_in_use(self):
        run = self.profiled([program("hz_a1_handover.c")], sample=1, extra_preload=[library("hz_handing_allocator.c")])
        self.assertEqual(run.shadows[run.pid]["inuse_objects"], 500)
        self.check_exact(run.profile, run.shadows[run.pid])
