# SPDX-License-Identifier: MIT
"""How much stack the functions of a library can take, with all that they call, read from its code (x86-64).

A walk over the instructions of each function, along every branch, follows the stack pointer; the calls between functions then give
the deepest chain. Calls of other libraries and through pointers count as the return address alone: what they take is not the
library's.
"""
import re
import subprocess

WORD = 8
LINE = re.compile(r"^ *([0-9a-f]+):\s+(?:(?:addr32|data16|notrack|bnd|lock|rep|cs|ds) )*(\S+)\s*(.*)$")
TARGET = re.compile(r"^([0-9a-f]+) <([^>+]+)(\+0x[0-9a-f]+)?>$")
IMPORT = re.compile(r"# [0-9a-f]+ <(\w+)@")  # a call through the table of what may be defined elsewhere
ENDS = {"ret", "retq", "hlt", "ud2", "jmp", "jmpq"}


class Unreadable(Exception):
    """Code that the walk does not understand."""


def number(text):
    return int(text, 16)


def signed(text):
    """Of 64 bits."""
    value = number(text)
    return value - (1 << 64) if value >> 63 else value


class Function:
    def __init__(self, name, address):
        self.name, self.address = name, address
        self.code = {}     # address: (mnemonic, operands, address of the next instruction)
        self.through_table = {}  # address: the name that is called
        self.frame = 0     # the most that it has on the stack at once, its return address not counted
        self.calls = {}    # address of a callee: the depth at the call, with the return address that it pushes
        self.imports = {}  # the same by name, of what may be defined elsewhere

    def note_call(self, target, depth):
        self.calls[target] = max(self.calls.get(target, 0), depth)

    def note_import(self, name, depth):
        self.imports[name] = max(self.imports.get(name, 0), depth)


def disassemble(path):
    """Functions by address."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True, check=True).stdout
    functions, function, previous = {}, None, None
    for line in text.splitlines():
        header = re.match(r"^([0-9a-f]+) <(.+)>:$", line)
        if header:
            function, previous = Function(header[2], number(header[1])), None
            functions[function.address] = function
            continue
        found = LINE.match(line)
        if not found or function is None:
            continue
        address = number(found[1])
        if previous is not None:
            mnemonic, operands, _ = function.code[previous]
            function.code[previous] = mnemonic, operands, address
        function.code[address] = found[2], found[3].split("#")[0].strip(), None
        imported = IMPORT.search(found[3])
        if imported:
            function.through_table[address] = imported[1]
        previous = address
    return functions


def moved(function, mnemonic, operands, depth, frame_pointer):
    """Depth and frame pointer after an instruction. The frame pointer is the depth it points at, None: it is none."""
    source, _, target = operands.rpartition(",")
    if mnemonic.startswith("push"):
        return depth + WORD, frame_pointer
    if mnemonic.startswith("pop"):
        return depth - WORD, None if operands == "%rbp" else frame_pointer
    if mnemonic.startswith("leave"):
        return frame_pointer - WORD, None
    if target == "%rbp" and mnemonic.startswith("mov") and source == "%rsp":
        return depth, depth
    if target != "%rsp" or mnemonic.startswith(("cmp", "test")):
        return depth, frame_pointer
    if mnemonic.startswith("sub") and source.startswith("$"):
        return depth + signed(source[1:]), frame_pointer
    if mnemonic.startswith("add") and source.startswith("$"):
        return depth - signed(source[1:]), frame_pointer
    if mnemonic.startswith("and") and source.startswith("$"):
        return depth + (1 << 64) - number(source[1:]) - WORD, frame_pointer
    offset = re.match(r"^(-?)0x([0-9a-f]+)\((%rsp|%rbp)\)$", source)
    if mnemonic.startswith("lea") and offset:
        base = depth if offset[3] == "%rsp" else frame_pointer
        return base - (-1 if offset[1] else 1) * number(offset[2]), frame_pointer
    realigned = re.match(r"^-0x([0-9a-f]+)\(%r1[03]\)$", source)  # by gcc: it points above the return address all the time
    if mnemonic.startswith("lea") and realigned:
        return number(realigned[1]) - WORD, frame_pointer
    if mnemonic.startswith("mov") and source == "%rbp":
        return frame_pointer, frame_pointer
    raise Unreadable(f"{function.name}: {mnemonic} {operands}")


def landing(function, seen):
    """The first place that nothing has led to, behind a jump or a return; filling between functions is none."""
    previous = None
    for address in sorted(function.code):
        mnemonic = function.code[address][0]
        if address not in seen and previous in ENDS and not mnemonic.startswith(("nop", "xchg", "int3", "data16")):
            return address
        if address in seen or previous not in ENDS:
            previous = mnemonic
    return None


def follow(function):
    """Walks it along every branch. What only a table of addresses leads to is taken for reached from the jump through it."""
    todo, seen, at_table = [(function.address, 0, None)], {}, None
    while todo:
        address, depth, frame_pointer = todo.pop()
        while address is not None and address in function.code and seen.get(address, (-1, None)) < (depth,):
            seen[address] = depth, frame_pointer
            mnemonic, operands, following = function.code[address]
            target = TARGET.match(operands)
            inside = target and number(target[1]) in function.code
            if mnemonic.startswith("call"):
                function.frame = max(function.frame, depth + WORD)
                if target:
                    function.note_call(number(target[1]), depth + WORD)
                elif address in function.through_table:
                    function.note_import(function.through_table[address], depth + WORD)
            elif mnemonic.startswith("j"):
                if inside:
                    todo.append((number(target[1]), depth, frame_pointer))
                elif target:
                    function.note_call(number(target[1]), depth)
                elif address in function.through_table:
                    function.note_import(function.through_table[address], depth)
                elif depth > 0 and operands.startswith("*%"):
                    at_table = depth, frame_pointer
            else:
                depth, frame_pointer = moved(function, mnemonic, operands, depth, frame_pointer)
                function.frame = max(function.frame, depth)
            address = None if mnemonic in ENDS else following
        if not todo and at_table is not None:
            found = landing(function, seen)
            if found is not None:
                todo.append((found, *at_table))


class Library:
    def __init__(self, path, leaves):
        """`leaves`: names of functions that run what they are given on another stack, and what they take of this one."""
        self.functions = disassemble(path)
        self.deepest = {function.address: (leaves[function.name], (function.name,))
                        for function in self.functions.values() if function.name in leaves}

    def named(self, name):
        """All of that name: files may each have a static one."""
        return [function for function in self.functions.values() if function.name == name]

    def callees(self, function):
        """Of one that was followed: pairs of a function of the library and the depth at the call."""
        calls = [(self.functions[address], at) for address, at in function.calls.items() if address in self.functions]
        return calls + [(callee, at) for name, at in function.imports.items() for callee in self.named(name)]

    def depth(self, function, under=()):
        """(bytes, names) of the deepest chain, the return address that its caller pushed included."""
        if function.address in under:
            raise Unreadable(f"{function.name} is called by itself")
        if function.address not in self.deepest:
            follow(function)
            best = function.frame, ()
            for callee, at in self.callees(function):
                size, names = self.depth(callee, (*under, function.address))
                best = max(best, (at - WORD + size, names))
            self.deepest[function.address] = best[0] + WORD, (f"{function.name}:{function.frame}", *best[1])
        return self.deepest[function.address]

    def imports(self, function, without=(), seen=None):
        """What it calls of other libraries on this stack, whatever way, but through the functions named `without`."""
        seen = set() if seen is None else seen
        if function.address in seen or function.name.split(".")[0] in without:
            return set()
        seen.add(function.address)
        self.depth(function)
        names = {name for name in function.imports if not self.named(name)}
        return names.union(*(self.imports(callee, without, seen) for callee, _ in self.callees(function)))
