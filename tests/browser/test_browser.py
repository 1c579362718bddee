# SPDX-License-Identifier: MIT
"""How the tests' browser is started."""
from browser import browser
from harness.case import Case

# Says at each of its starts the next line of the file beside it.
DRIVER = """#!/bin/sh
starts=$(cat "$0.starts" 2>/dev/null || echo 0)
echo $((starts + 1)) >"$0.starts"
sed -n "$((starts + 1))p" "$0.says"
"""
TAKEN = "IPv6 port not available. Exiting...\n"
STARTED = "ChromeDriver was started successfully on port 4711.\n"


class Start(Case):
    def start(self, *lines):
        """With a driver that says one of the lines at each start; the process and its port."""
        driver = self.dir / "driver"
        driver.write_text(DRIVER)
        driver.chmod(0o755)
        (self.dir / "driver.says").write_text("".join(lines))
        return browser.start_driver(self.dir / "log", str(driver))

    def test_port_of_somebody_else(self):
        process, port = self.start(TAKEN, TAKEN, STARTED)
        browser.end_driver(process)
        self.assertEqual((port, (self.dir / "driver.starts").read_text()), (4711, "3\n"))

    def test_no_port_ever(self):
        with self.assertRaisesRegex(browser.BrowserError, "IPv6 port not available"):
            self.start(*[TAKEN] * browser.STARTS_MAX, STARTED)

    def test_another_reason(self):
        with self.assertRaisesRegex(browser.BrowserError, "did not start: no such option"):
            self.start("no such option\n", STARTED)
