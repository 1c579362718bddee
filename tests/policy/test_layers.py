# SPDX-License-Identifier: MIT
"""Who may include whom: the layout in HACKING, read from the #include lines."""
import re
import tempfile
from pathlib import Path

from harness import paths
from harness.case import Case

FILES_IN_A_ROOM, FILES_IN_CORE = 25, 35
# What a folder of the top may include, besides itself. tests/ may include anything.
FOLDERS = {"include": set(), "core": {"include"}, "interpose": {"core", "include"}, "tools": {"core", "include"}}
# A program of the build reads the lists that the library is compiled from.
LISTS = {"tools/build": {"core/config.def", "core/losses.def", "interpose/hooks.def"}}


def rooms_of(hacking):
    """Rooms of tools/ and the rooms that each may include, from the layout."""
    layout = re.search(r"^  tools/.*\n((?:    .*\n)+)", hacking, re.MULTILINE).group(1)
    rooms = {}
    for name, uses in re.findall(r"^    (\w+)/ .*?  ((?:\w+ )*\w+|-)$", layout, re.MULTILINE):
        rooms[name] = set() if uses == "-" else set(uses.split())
    return rooms


def is_generated(path):
    return ".pb-c." in path.name or "npm" in path.parts


def sources(root):
    return sorted(path.relative_to(root) for folder in FOLDERS for path in (root / folder).rglob("*")
                  if path.suffix in (".c", ".h", ".def") and not is_generated(path))


def module_of(path):
    return re.sub(r"\.(?:c|h|def)$", "", str(path))


def includes(root):
    """(file, included file) for every #include of one of our files."""
    for file in sources(root):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', (root / file).read_text(), re.MULTILINE):
            for candidate in (Path(name), file.parent / name, Path("include") / name):
                if (root / candidate).exists() and not is_generated(candidate):
                    yield file, candidate
                    break


def circles(root):
    """Sets of modules that include each other, by Tarjan's algorithm."""
    graph = {module_of(file): set() for file in sources(root)}
    for file, included in includes(root):
        if module_of(file) != module_of(included):
            graph[module_of(file)].add(module_of(included))
    number, low, stack, found = {}, {}, [], []

    def visit(module):
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in number:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == number[module]:
            circle = stack[stack.index(module):]
            del stack[stack.index(module):]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in graph:
        if module not in number:
            visit(module)
    return found


def is_allowed(file, included, rooms):
    folder, other = file.parts[0], included.parts[0]
    if str(included) in LISTS.get(str(file.parent), set()):
        return True
    if folder != other:
        return other in FOLDERS[folder]
    if folder != "tools" or file.parts[1] == included.parts[1]:
        return True
    return included.parts[1] in rooms[file.parts[1]]


def upward(root, rooms):
    return [(str(file), str(included)) for file, included in includes(root) if not is_allowed(file, included, rooms)]


class Layers(Case):
    def setUp(self):
        super().setUp()
        self.rooms = rooms_of((paths.SOURCE / "HACKING").read_text())

    def test_rooms_are_those_of_the_layout(self):
        there = {file.parts[1] for file in sources(paths.SOURCE) if file.parts[0] == "tools"}
        self.assertEqual(set(self.rooms), there)
        self.assertEqual([file for file in sources(paths.SOURCE) if file.parts[0] == "tools" and len(file.parts) != 3], [])

    def test_rooms_are_in_order(self):
        """What a room uses stands above it, so no two rooms can use each other."""
        above = set()
        for room, uses in self.rooms.items():
            self.assertLessEqual(uses, above, room)
            above.add(room)

    def test_nothing_is_included_that_the_layout_does_not_allow(self):
        self.assertGreater(len(list(includes(paths.SOURCE))), 500)
        self.assertEqual(upward(paths.SOURCE, self.rooms), [])

    def test_no_circles(self):
        self.assertEqual(circles(paths.SOURCE), [])

    def test_no_folder_is_crowded(self):
        rooms = ["core/cfi", "core/live"] + [f"tools/{room}" for room in self.rooms]
        for folder, limit in [("core", FILES_IN_CORE)] + [(room, FILES_IN_A_ROOM) for room in rooms]:
            files = [file for file in sources(paths.SOURCE) if file.suffix == ".c" and str(file.parent) == folder]
            self.assertTrue(files, folder)
            self.assertLessEqual(len(files), limit, folder)


class Discriminates(Case):
    """The same on made trees with a fault each."""

    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.root = Path(made.name)
        self.rooms = {"low": set(), "high": {"low"}}

    def write(self, name, *included):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f'#include "{other}"\n' for other in included))

    def test_sound_tree(self):
        self.write("tools/low/a.h")
        self.write("tools/low/a.c", "tools/low/a.h")
        self.write("tools/high/b.c", "tools/low/a.h")
        self.assertEqual((upward(self.root, self.rooms), circles(self.root)), ([], []))

    def test_room_above(self):
        self.write("tools/high/b.h")
        self.write("tools/low/a.c", "tools/high/b.h")
        self.assertEqual(upward(self.root, self.rooms), [("tools/low/a.c", "tools/high/b.h")])

    def test_folder_above(self):
        self.write("interpose/hooks.h")
        self.write("core/a.c", "interpose/hooks.h")
        self.assertEqual(upward(self.root, self.rooms), [("core/a.c", "interpose/hooks.h")])

    def test_circle_through_three_modules(self):
        for one, other in ("ab", "bc", "ca"):
            self.write(f"core/{one}.h")
            self.write(f"core/{one}.c", f"core/{other}.h")
        self.assertEqual(circles(self.root), [["core/a", "core/b", "core/c"]])
