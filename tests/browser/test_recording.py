# SPDX-License-Identifier: MIT
"""The page of a recorded process at heapprof serve, in a browser, with a mouse or a keyboard."""
from browser.test_live import LiveCase
from browser.test_page import FRAMES
from cli import test_serve_recording
from harness.case import timeout

MB = 1 << 20


class Recording(test_serve_recording.RecordedCase, LiveCase):
    """Of three moments: keep_words has 4 MB, then keep_index 1 MB, then keep_pictures 7 MB."""
    def open_recording(self, **browser):
        self.need_page()
        self.program = self.grower()
        self.addCleanup(self.program.__exit__)
        for what, times in (("words", 4), ("index", 1), ("pictures", 7)):
            self.keep(self.program, what, MB, times=times)
            self.record(self.program.pid)
        self.spread()
        self.server = self.serve()
        self.start_browser(**browser)
        self.open_page()
        self.browser.wait(f"{FRAMES}.length > 0")

    def check_asked(self):
        start = f"http://127.0.0.1:{self.server.port}/id:1/live/"
        asked = {url.partition("?")[0] for url in self.browser.requests() if not url.startswith("data:")}
        self.assertLessEqual(asked, {start + name for name in ("heap", "timeline", "change")})

    @timeout(300)
    def test_moments_and_what_grew(self):
        """By clicks and keys; in the end one moment more is recorded."""
        self.open_recording()
        self.wait_total("12")
        self.assertEqual((self.text("#kind"), self.state()), ("Heap profile, recorded", "last"))
        self.assertRegex(self.text("#live-note"), r"^last: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        self.drag(0, 0)  # a click
        self.wait_state("moment")
        self.wait_total("4")
        self.assertRegex(self.text("#live-note"), r"^at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        self.drag(0.5, 1)
        self.wait_state("change")
        self.assertEqual({row[0]: row[2] for row in self.rows() if row[2].startswith(("+", "-"))}, {"keep_pictures": "+7MB exact"})
        self.browser.run("document.getElementById('timeline-chart').focus()")
        self.browser.type("Left", "Left", " ")
        self.wait_state("moment")
        self.wait_total("4")
        self.browser.click("#back")
        self.wait_state("last")
        self.wait_total("12")
        for width, theme in ((400, "dark"), (3840, "light")):
            self.browser.set_size(width, 900)
            self.browser.set_theme(theme)
            self.browser.wait("document.querySelector('#timeline-chart svg').getBoundingClientRect().width === "
                              "document.getElementById('timeline-chart').clientWidth && innerWidth === arguments[0]", width)
            self.check_fits(width, theme)
        self.keep(self.program, "words", MB)
        self.record(self.program.pid)
        self.wait_total("13")
        self.assertEqual(self.state(), "last")
        self.check_quiet()
