# SPDX-License-Identifier: MIT
"""Chromium without a window, driven through chromedriver's WebDriver protocol."""
import base64
import http.client
import json
import pathlib
import re
import shutil
import subprocess

from harness.case import Case
from harness.states import wait_until
from harness.tools import need

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars")
KEYS = {"Up": "\ue013", "Down": "\ue015", "Left": "\ue012", "Right": "\ue014", "Enter": "\ue007", "Escape": "\ue00c",
        "Home": "\ue011", "Tab": "\ue004"}
STARTS_MAX = 20


class BrowserError(Exception):
    pass


def start_driver(log, command="chromedriver"):
    """Runs chromedriver; the process and its port. It takes a free port of 127.0.0.1, then the same of ::1, which may be somebody's:
    it ends then, and another start takes another port."""
    for _ in range(STARTS_MAX):
        driver = subprocess.Popen([command, "--port=0", f"--log-path={log}"], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
        said = ""
        for line in driver.stdout:
            if match := re.search(r"successfully on port (\d+)", line):
                return driver, int(match[1])
            said += line
        end_driver(driver)
        if "port not available" not in said:
            break
    raise BrowserError(f"chromedriver did not start: {said}")


def end_driver(driver):
    driver.kill()
    driver.wait()
    driver.stdout.close()


class Browser:
    """One session. Everything is asked of the page itself, by scripts; clicks and keys are real ones."""
    def __init__(self, directory, theme="light", size=(1280, 900)):
        self.session = None
        self.driver, self.port = start_driver(directory / "chromedriver.log")
        options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={directory / 'chromium'}"]}
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": always}})["sessionId"]
        self.set_size(*size)
        self.set_theme(theme)

    def close(self):
        try:
            if self.session:
                self.ask("DELETE", "", None)
        finally:
            end_driver(self.driver)

    def ask(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)  # whatever takes too long, the test does
        prefix = f"/session/{self.session}" if self.session else ""
        text = None if body is None else json.dumps(body)
        connection.request(method, prefix + path, text, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise BrowserError(f"{answer['error']}: {answer['message']}")
        return answer

    def devtools(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def set_size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def set_theme(self, theme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def open(self, path):
        self.open_address(pathlib.Path(path).as_uri())

    def open_address(self, url):
        self.url = url
        self.ask("POST", "/url", {"url": self.url})

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector):
        """What is drawn anew before it is reached, as a page that loads itself again is, is looked for again."""
        while True:
            found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
            try:
                return self.ask("POST", f"/element/{found[ELEMENT]}/click", {})
            except BrowserError as error:
                if not str(error).startswith("stale element reference:"):
                    raise

    def click_at(self, x, y):
        self.point(x, y, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def point(self, x, y, *more):
        self.act([{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}, *more])

    def act(self, actions):
        """Of the mouse."""
        self.ask("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def type(self, *keys):
        strokes = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def wait(self, condition, *arguments):
        """Waits until the expression is true in the page; its value."""
        return wait_until(lambda: self.run(f"return ({condition})", *arguments), f"{condition} {arguments}")

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot", None)))

    def messages(self):
        """What the page said on its console, errors and violations of its policy included."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """Addresses that the page asked for, itself not counted."""
        events = [json.loads(entry["message"])["message"] for entry in self.ask("POST", "/se/log", {"type": "performance"})]
        asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in asked if one["documentURL"] == self.url and one["request"]["url"] != self.url]


class BrowserCase(Case):
    """When a test ends, the page must have been silent, and must have asked nobody for anything."""

    def start_browser(self, **options):
        need("chromium", "chromedriver")
        self.browser = Browser(self.dir, **options)
        self.addCleanup(self.browser.close)
        return self.browser

    def check_quiet(self):
        self.assertEqual(self.browser.messages(), [])
        self.assertEqual([url for url in self.browser.requests() if not url.startswith("data:")], [])
