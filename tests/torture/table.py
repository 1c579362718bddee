# SPDX-License-Identifier: MIT
"""What `make torture` prints at its end: a line for each hazard of docs/hazards.md, each cell of the matrix, each kind of refusal and
limit, each real program, and the soak."""
import dataclasses
import os
import re
import sys

from harness import paths

COLOURS = {"ok": "32", "FAILED": "31", "not run": "31", "skipped": "33"}
# Of these files every test class is a line, or every parameter.
SECTIONS = (("matrix", "torture/test_matrix", "parameter"), ("refused", "torture/test_resources", "class"),
            ("limit", "torture/test_limits", "class"), ("program", "torture/test_real_programs", "class"),
            ("hostile", "torture/test_hostile", "class"), ("attach", "torture/test_attach_rounds", "parameter"),
            ("soak", "torture/test_soak", "parameter"))


def hazard_rows():
    """(number, what goes wrong, names of its tests)"""
    text = (paths.SOURCE / "docs/hazards.md").read_text()
    return [(number, what, tests.split(", "))
            for number, what, tests in re.findall(r"^\| ([USPGAERVT]\d+) \| (.*?) \|.*\| (.*) \|$", text, re.MULTILINE)]


@dataclasses.dataclass
class Line:
    what: str
    outcomes: list

    @property
    def result(self):
        states = {outcome.state for outcome in self.outcomes}
        if "failed" in states:
            return "FAILED"
        return "ok" if "passed" in states else "skipped" if states else "not run"

    @property
    def seconds(self):
        return sum(outcome.seconds for outcome in self.outcomes)

    @property
    def figures(self):
        """Sums of what was counted, and lists of the rest; then why some did not run."""
        together = {"tests": [str(len(self.outcomes))]}
        for name, value in (figure for outcome in self.outcomes for figure in outcome.figures):
            together.setdefault(name, []).append(value)
        runs = together.pop("runs", [])
        parts = [f"{name} {self.few(values)}" for name, values in together.items()]
        parts[1:1] = [f"runs {sum(map(int, runs))}"] * bool(runs)
        reasons = [outcome.text for outcome in self.outcomes if outcome.state == "skipped"]
        return ", ".join(parts + [f"{reasons.count(reason)} skipped: {reason}" for reason in dict.fromkeys(reasons)])

    @staticmethod
    def few(values):
        different = list(dict.fromkeys(values))
        return " ".join(different[:6]) + (f" … ({len(different)})" if len(different) > 6 else "")


def is_of(outcome, test):
    """test: as docs/hazards.md names it, a class, a file or a folder"""
    file, _, rest = outcome.name.partition(".")
    return test in (file, file.split("/")[0], rest.split(".")[0])


def lines_of(outcomes):
    """Every outcome is in at least one."""
    lines = [Line(f"{number} {what}", [outcome for outcome in outcomes if any(is_of(outcome, test) for test in tests)])
             for number, what, tests in hazard_rows()]
    for title, file, kind in SECTIONS:
        groups = {}
        for outcome in outcomes:
            if is_of(outcome, file):
                parameter = re.search(r"\[(.*)\]$", outcome.name)
                name = parameter[1] if parameter and kind == "parameter" else outcome.name.split(".")[1]
                groups.setdefault(name, []).append(outcome)
        lines += [Line(f"{title} {name}", members) for name, members in sorted(groups.items())] or [Line(title, [])]
    shown = {outcome.name for line in lines for outcome in line.outcomes}
    rest = [outcome for outcome in outcomes if outcome.name not in shown]
    return lines + ([Line("others", rest)] if rest else [])


def shortened(text, width):
    return text if len(text) <= width else text[:width - 1] + "…"


def wants_colour(stream):
    return stream.isatty() and not os.environ.get("NO_COLOR")


def of(outcomes, stream=sys.stdout):
    def coloured(result, text):
        return f"\033[{COLOURS[result]}m{text}\033[0m" if wants_colour(stream) else text

    lines = lines_of(outcomes)
    text = [f"\n{'what':52} {'result':8} {'seconds':>7}  figures"]
    text += [f"{shortened(line.what, 52):52} {coloured(line.result, f'{line.result:8}')} {line.seconds:7.1f}  {line.figures}".rstrip()
             for line in lines]
    counts = {result: sum(line.result == result for line in lines) for result in COLOURS}
    summary = ", ".join(coloured(result, f"{number} {result}") for result, number in counts.items() if number)
    return "\n".join([*text, f"{len(lines)} lines: {summary}\n"])
