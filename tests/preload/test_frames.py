# SPDX-License-Identifier: MIT
"""The way from frame to frame, wherever machines differ: what a signal interrupts, large frames, frames that end anywhere."""
from harness.case import Case, cases

# Who calls the function that allocates, outwards. The kernel's own code below a handler may have a name, or none.
CALLERS = {
    "large_frame": ["victim_large_frame", "main"],
    "sized_frame": ["victim_sized_frame", "main"],
    "thread": ["victim_thread"],
    "coroutine": ["victim_coroutine"],
}
HANDLED = {"leaf_handler": ["victim_leaf", "victim_calls_leaf", "main"], "astray_handler": ["victim_goes_astray", "main"]}


class Frames(Case):
    @cases("frames", "frames_protected")
    def test_callers(self, victim):
        """On aarch64 seen to fail without each of these: the register that calls leave the return address in (cfi/step.c), the removal
        of its signature, and sp by the caller's rule where frames go on above the frame pointer (steps.c)."""
        run = self.profiled([self.victim(victim)], sample=1)
        self.check_run_exact(run)
        for place, callers in CALLERS.items():
            sample, = run.profile.select(lambda frames: f"victim_in_{place}" in frames)
            frames = run.profile.frames(sample)
            self.assertEqual(frames[:len(callers) + 1], [f"victim_in_{place}", *callers])
            self.assertEqual(sample.labels, {}, frames)
        for place, callers in HANDLED.items():
            samples = run.profile.select(lambda frames: f"victim_in_{place}" in frames)
            self.assertEqual(sum(sample.values["alloc_objects"] for sample in samples), 2)
            for sample in samples:
                frames = run.profile.frames(sample)
                self.assertEqual(frames[:2], [f"victim_in_{place}", "handle"])
                self.assertEqual([name for name in frames if name.startswith("victim_") or name == "main"][1:], callers, frames)
                self.assertEqual(sample.labels, {}, frames)
        sample, = run.profile.select(lambda frames: "victim_in_generated" in frames)
        frames = run.profile.frames(sample)
        self.assertEqual(frames[:4], ["victim_in_generated", "victim_generated", "victim_calls_generated", "main"])
