#!/usr/bin/python3
"""make-golden.py [FAMILY...] - values to test against, made by other programs, into tests/golden/.

A family is a module golden_<family>.py beside this file with a function make(outdir). Debian 12:
apt install python3-torch python3-sklearn python3-scipy python3-pil. The values are committed; neither building
nor testing needs Python.
"""

import glob
import importlib
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
sys.dont_write_bytecode = True


def main():
    known = sorted(os.path.basename(p)[7:-3] for p in glob.glob(os.path.join(here, "golden_*.py")))
    wanted = sys.argv[1:] or known
    for family in wanted:
        if family not in known:
            sys.exit(f"make-golden.py: no family '{family}'; there are {', '.join(known)}")
    for family in wanted:
        print(family, flush=True)
        importlib.import_module("golden_" + family).make(os.path.join(here, "..", "tests", "golden"))


main()
