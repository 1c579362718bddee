# SPDX-License-Identifier: MIT
"""The page of a process at heapprof serve, as a person meets it: while the process goes on, in a browser, with a mouse or a keyboard."""
import pathlib
import re

from browser.test_page import FRAMES, NAMED, PageCase, contrast, luminance
from cli import test_serve_page
from harness.case import cases, timeout
from harness.server import Server
from harness.states import wait_until

MB = 1 << 20


class LiveCase(test_serve_page.PageCase, PageCase):
    """keep_words has 4 MB and keep_index 1 MB when the page is opened."""
    def setUp(self):
        super().setUp()
        self.need_page()

    def open_live(self, history=0, words=4, listen="127.0.0.1:0", **browser):
        self.program = self.grower()
        self.addCleanup(self.program.__exit__)
        self.keep(self.program, "words", MB, times=words)
        self.keep(self.program, "index", MB)
        self.server = Server(self, self.program.pid, history=history, listen=listen).__enter__()
        self.addCleanup(self.server.__exit__)
        if history:
            self.when_remembered(self.server, self.program, "index", MB)
        self.start_browser(**browser)
        self.open_page()
        self.wait_drawn()

    def open_page(self, path=None):
        self.browser.open_address(f"http://127.0.0.1:{self.server.port}{path or f'/{self.program.pid}/'}")

    def check_quiet(self):
        """It asked nobody but its server, which had no cause to complain."""
        self.assertEqual(self.browser.messages(), [])
        self.check_asked()

    def check_asked(self):
        asked = {re.sub(r"\?.*", "", url) for url in self.browser.requests() if not url.startswith("data:")}
        start = f"http://127.0.0.1:{self.server.port}/{self.program.pid}/live/"
        self.assertLessEqual(asked, {start + name for name in ("heap", "timeline", "change")})

    def wait_total(self, size, kind="inuse_space"):
        """Until the page shows a total of so many MB, and some bytes of stdio."""
        card = f".types label:has([value={kind}]) .total"
        self.browser.wait("document.querySelector(arguments[0])?.textContent === arguments[1]", card, f"{size}.01MB")

    def state(self):
        return self.browser.run("return document.body.dataset.state")

    def wait_state(self, state):
        self.browser.wait("document.body.dataset.state === arguments[0]", state)

    def wait_remembered(self, name):
        """Until the timeline that is drawn has it."""
        self.browser.wait("[...document.querySelectorAll('.owners span')].some((key) => key.textContent === arguments[0])", name)

    def drag(self, start, end):
        """Across the timeline, from one part of its width to another."""
        self.browser.run("document.getElementById('timeline-chart').scrollIntoView({block: 'center'})")
        left, top, width, _ = self.browser.run(
            "const box = document.getElementById('timeline-chart').getBoundingClientRect();"
            "return [box.left, box.top, box.width, box.height]")
        moves = [{"type": "pointerMove", "x": round(left + 1 + part * (width - 2)), "y": round(top + 60), "duration": 0}
                 for part in (start, (start + end) / 2, end)]
        self.browser.act([moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}])

    def check_fits(self, width, theme):
        self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), width, "nothing sticks out")
        background = self.browser.run("return getComputedStyle(document.body).backgroundColor")
        self.assertEqual(luminance(background) < 0.1, theme == "dark")
        texts = self.browser.run("return [...document.querySelectorAll('#timeline-chart text')].map((text) => getComputedStyle(text).fill)")
        texts += self.browser.run("return ['#live-note', '.owners', '#timeline h2'].map((one) => getComputedStyle(document.querySelector(one)).color)")
        for colour in texts:
            self.assertGreaterEqual(contrast(colour, background), 4.5, colour)
        colours = self.browser.run("return [...document.querySelectorAll('#timeline-chart polygon')].map((area) => getComputedStyle(area).fill)")
        self.assertEqual(len(set(colours)), len(colours))
        chart = self.browser.run("return document.querySelector('#timeline-chart svg').getBoundingClientRect().width")
        self.assertGreater(chart, 0.9 * width)


class Refresh(LiveCase):
    @timeout(300)
    def test_what_comes_is_shown(self):
        self.open_live()
        self.wait_total("5")
        self.assertEqual([row[0] for row in self.rows()][:2], ["keep_words", "keep_index"])
        self.keep(self.program, "pictures", MB, times=7)
        self.wait_total("12")
        self.assertEqual([row[0] for row in self.rows()][:3], ["keep_pictures", "keep_words", "keep_index"])
        self.assertIn("keep_pictures", self.names())
        self.check_quiet()

    @timeout(300)
    def test_what_was_chosen_stays(self):
        """Zoom, search, direction, order of the table, the page's place, and the focus."""
        self.open_live()
        self.choose("type", "alloc_space")
        self.choose("by", "leaf")
        self.search("words|pictures")
        self.click_frame("keep_words")
        self.browser.click("th.name button")
        self.browser.run("document.querySelector('th.name').scrollIntoView()")
        self.browser.run(f"{NAMED}[0].focus({{preventScroll: true}})", "main")
        place = self.browser.run("return scrollY")
        frames = self.names()
        self.assertNotIn("keep_index", frames)
        self.assertTrue(self.text("#matched").startswith("4MB"), self.text("#matched"))
        self.keep(self.program, "pictures", MB, times=7)
        self.wait_total("12", "alloc_space")
        self.assertEqual(self.text("#problem"), "")
        self.assertEqual(self.names(), frames, "zoomed to the same")
        self.assertEqual(self.browser.run("return document.getElementById('search').value"), "words|pictures")
        self.assertTrue(self.text("#matched").startswith("11MB"), self.text("#matched"))
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('input:checked')].map((input) => input.value)"),
                         ["auto", "alloc_space", "callees", "leaf", "value"])
        self.assertEqual([row[0] for row in self.rows()], ["keep_pictures", "keep_words"])
        self.assertEqual(self.browser.run("return document.querySelector('th[aria-sort]').className"), "name")
        self.assertEqual(self.browser.run("return document.activeElement.getAttribute('name')"), "main")
        self.assertEqual(self.browser.run("return scrollY"), place)
        self.browser.click("#reset")
        self.wait_drawn()
        self.assertIn("keep_pictures", self.names())
        self.check_quiet()

    @timeout(300)
    def test_pause(self):
        """The heap stays; the timeline goes on, and is asked for after the heap: when it has what came, the heap would."""
        self.open_live(history=1)
        self.browser.click("#pause")
        self.wait_state("paused")
        self.keep(self.program, "pictures", MB, times=7)
        self.wait_remembered("keep_pictures")
        self.assertEqual([row[0] for row in self.rows()][:2], ["keep_words", "keep_index"])
        self.browser.click("#pause")
        self.wait_total("12")
        self.assertEqual(self.state(), "live")
        self.check_quiet()

    @timeout(300)
    def test_by_name(self):
        """The page of a name is that of the process which has it now."""
        self.open_live()
        self.open_page(f"/{self.program_name()}/")
        self.wait_total("5")
        self.check_quiet()

    def program_name(self):
        return pathlib.Path(self.program.arguments[0]).name

    @timeout(300)
    def test_it_ends(self):
        self.open_live()
        self.program.end()
        self.wait_state("ended")
        self.assertIn(f"there is no process {self.program.pid}. This is the last that was seen of it.", self.text("#problem"))
        self.assertEqual([row[0] for row in self.rows()][:2], ["keep_words", "keep_index"])
        self.click_frame("keep_words")
        self.assertNotIn("keep_index", self.names())
        self.assertTrue(all("404" in message for message in self.browser.messages()))

    @timeout(300)
    def test_the_server_ends(self):
        listen = f"127.0.0.1:{self.held_port()}"
        self.open_live(listen=listen)
        self.server.__exit__()
        self.browser.wait("!document.getElementById('problem').hidden")
        self.assertIn("The server does not answer", self.text("#problem"))
        self.server = Server(self, self.program.pid, listen=listen).__enter__()
        self.keep(self.program, "pictures", MB, times=7)
        self.wait_total("12")
        self.browser.wait("document.getElementById('problem').hidden")


class Hour(LiveCase):
    def open_grown(self, **browser):
        """At once: at no moment is a part of it there."""
        self.open_live(history=1, **browser)
        self.keep(self.program, "pictures", 7 * MB)
        self.wait_remembered("keep_pictures")

    @timeout(300)
    def test_drag_shows_what_grew(self):
        """From its first moment to its last. What is the same is grey."""
        self.open_grown()
        self.drag(0, 1)
        self.wait_state("change")
        changes = {row[0]: row[2] for row in self.rows() if row[2].startswith(("+", "-"))}
        self.assertEqual(changes, {"keep_pictures": "+7MB exact"})
        self.assertEqual([self.tone(name) for name in ("keep_pictures", "keep_words", "keep_index")], ["grown", "same", "same"])
        self.assertRegex(self.text("#live-note"), r"^from \d\d:\d\d:\d\d to \d\d:\d\d:\d\d$")
        self.browser.click("#back")
        self.wait_total("12")
        self.assertEqual((self.state(), self.text("#problem")), ("live", ""))
        self.assertFalse(self.browser.run("return document.body.classList.contains('difference')"))
        self.check_quiet()

    def tone(self, name):
        fill = self.browser.run(f"return {NAMED}[0].querySelector('rect').getAttribute('fill')", name)
        return re.fullmatch(r"var\(--(\w+?)(?:-\d)?\)", fill)[1]

    @timeout(300)
    def test_backwards_and_by_keyboard(self):
        self.open_grown()
        self.drag(1, 0)
        self.wait_state("change")
        self.assertIn("+7MB", self.text("#functions"))
        self.browser.click("#back")
        self.wait_total("12")
        self.browser.run("document.getElementById('timeline-chart').focus()")
        self.browser.type(*["Left"] * 200, "Right", "Left", "Enter")
        self.wait_state("change")
        self.assertIn("+7MB", self.text("#functions"))
        self.check_quiet()

    @timeout(300)
    def test_a_click_is_no_drag(self):
        self.open_grown()
        self.drag(0.5, 0.5)
        self.keep(self.program, "pictures", MB)
        self.wait_total("13")
        self.assertEqual(self.state(), "live")
        self.check_quiet()

    @timeout(300)
    def test_what_is_drawn(self):
        """The areas of the owners have the sizes of what they hold."""
        self.open_grown()
        drawn = self.browser.run("""
          const last = (shape) => shape.getAttribute('points').trim().split(' ').map((point) => point.split(',').map(Number));
          return [[...document.querySelectorAll('#timeline-chart polygon')].map(last),
                  last(document.querySelector('#timeline-chart .in-use'))]""")
        polygons, in_use = drawn
        edges = [max(points)[0] for points in polygons]
        at_end = [sorted({y for x, y in points if x == max(points)[0]}) for points in polygons]
        sizes = [ys[-1] - ys[0] for ys in at_end]
        self.assertEqual(len(polygons), 4)  # the last is the rest, of stdio
        self.assertEqual(set(edges), {in_use[-1][0]})
        self.assertAlmostEqual(sizes[0] / sizes[1], 7 / 4, delta=0.1)
        self.assertAlmostEqual(sizes[0] / sizes[2], 7, delta=0.5)
        self.assertAlmostEqual(at_end[-1][0], in_use[-1][1], delta=0.3)
        self.check_quiet()

    @cases(*((width, theme) for width in (400, 1280, 3840) for theme in ("light", "dark")))
    @timeout(300)
    def test_size_and_theme(self, width, theme):
        self.open_grown(size=(width, 900), theme=theme)
        self.check_fits(width, theme)
        self.drag(0, 1)
        self.wait_state("change")
        self.check_fits(width, theme)
        self.check_quiet()


class List(LiveCase):
    @cases((720, "light"), *((width, theme) for width in (400, 3840) for theme in ("light", "dark")))
    @timeout(300)
    def test_list(self, width, theme):
        """It has a picture of each, and leads to its page, which leads back. Where there is no room for a head, each number says what it is."""
        self.open_live(history=1, size=(width, 900), theme=theme)
        self.open_page("/")
        wait_until(lambda: "<svg" in self.server.get("/").text, "there is a picture")
        self.open_page("/")
        self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), width, "nothing sticks out")
        background = self.browser.run("return getComputedStyle(document.body).backgroundColor")
        self.assertEqual(luminance(background) < 0.1, theme == "dark")
        for colour in self.browser.run("return [...document.querySelectorAll('td, a')].map((cell) => getComputedStyle(cell).color)"):
            self.assertGreaterEqual(contrast(colour, background), 4.5, colour)
        self.assertGreater(self.browser.run("return document.querySelector('polyline').getBoundingClientRect().width"), 50)
        self.assertEqual(self.browser.messages(), [])
        labels = self.browser.run("return [...document.querySelectorAll('td.number')].map((cell) => getComputedStyle(cell, '::before').content)")
        self.assertEqual([label.replace('"', "").strip() for label in labels[1:3]], ["in use", "allocated"] if width < 700 else ["none"] * 2)
        lines = self.browser.run("return [...document.querySelectorAll('td a')].map((link) => link.getClientRects().length)")
        self.assertEqual(set(lines), {1}, "no word is broken")
        self.browser.click(f'a[href="{self.program.pid}/"]')
        self.browser.wait(f"{FRAMES}.length > 0")
        self.assertEqual(self.text("#program"), self.program_name())
        self.browser.click('#live a[href="../"]')
        self.browser.wait("document.querySelector('td.command') !== null")
        self.browser.click(f'a[href="{self.program.pid}/debug/pprof/"]')
        self.browser.wait("document.querySelector('a[href=peak]') !== null")
        self.browser.click(f'a[href="../../../{self.program.pid}/"]')
        self.browser.wait(f"{FRAMES}.length > 0")

    program_name = Refresh.program_name
