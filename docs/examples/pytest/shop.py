# SPDX-License-Identifier: MIT
"""shop.py FUNCTION TURNS: what the tests run."""
import ctypes
import sys

cart = ctypes.CDLL("./cart.so")

for _ in range(int(sys.argv[2])):
    getattr(cart, sys.argv[1])(b"apple " * 100)
