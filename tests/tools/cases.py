#!/usr/bin/env python3
"""How many cases the tests played, from their logs: every line of them with a number of cases in it.

    tests/tools/cases.py BUILDDIR

Prints these lines, each with the test's name before it, and the sum."""

import os
import re
import sys

LINE = re.compile(r"(?:^|[\s(])([0-9]+) cases\b")


def main():
    builddir = sys.argv[1]
    total = 0
    for directory, _, names in sorted(os.walk(os.path.join(builddir, "tests"))):
        for name in sorted(names):
            if not name.endswith(".log"):
                continue
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as log:
                for line in log:
                    found = LINE.search(line)
                    if found:
                        total += int(found.group(1))
                        print("%-22s %s" % (name[:-4], line.strip()))
    print("%d cases in all" % total)


main()
