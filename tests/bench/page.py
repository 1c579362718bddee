# SPDX-License-Identifier: MIT
"""docs/performance.md, whole, from the stored results."""

INTRODUCTION = """# Performance

Made by `make bench`: tables, plots and verdicts come from one set of results on one machine, and are written anew by each run.
Contenders take turns within a run (A B C A B C ...), so that a slow moment of the machine meets all of them. Times are medians
with quartiles in parentheses; instruction counts come from callgrind, as the difference of two run lengths, and repeat exactly.
Times depend on the machine: ratios and instructions are worth more.
"""


def table(head, rows):
    """A markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def number(value, digits=1):
    if value is None:
        return "-"
    return f"{value:,.{digits}f}"


def spread(summary, digits=1):
    """Median (lower quartile - upper quartile)."""
    if summary is None:
        return "-"
    return f"{number(summary['median'], digits)} ({number(summary['low'], digits)} - {number(summary['high'], digits)})"


def human_bytes(value):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024


def goal(text, value, limit, unit, digits=1):
    """A line that says whether the value is at most the limit, and else by how much it is above."""
    if value is None:
        return f"- **not measured**: {text}\n"
    measured = f"{number(value, digits)} {unit}".strip()
    if value <= limit:
        return f"- **met**: {text}: {measured}, goal {number(limit, digits)}\n"
    over = number(value - limit, digits)
    return f"- **missed by {over} {unit}".rstrip() + f"**: {text}: {measured}, goal {number(limit, digits)}\n"


def plot(name, caption):
    return f"![{caption}](plots/{name}.svg)\n"


def about(stored):
    machine = stored["machine"]
    lines = [f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
             f"- system: {machine['system']}, kernel {machine['kernel']}, {machine['libc']}, {machine['compiler']}",
             f"- heapprof {stored['version']}, command: `{stored['command']}`"]
    versions = sorted({peer["version"] for peer in stored["peers"] if peer["version"]})
    lines += [f"- peers: {', '.join(versions)}"] if versions else []
    lines += [f"- not here: {peer['label']}: {peer['missing']}" for peer in stored["peers"] if peer["missing"]]
    return "\n".join(lines) + "\n"


def render(stored, sections):
    parts = [INTRODUCTION, about(stored)]
    for section in sections:
        part = stored["sections"].get(section.NAME)
        parts.append(f"## {section.TITLE}\n")
        if part is None:
            parts.append(f"Not measured: `tests/bench/run {section.NAME}` has not run.\n")
        elif "failed" in part:
            parts.append(f"Not measured: {part['failed']}\n")
        else:
            parts.append(section.page(part["results"]))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)
