#!/usr/bin/env python3
"""How many cases the tests played, from their logs: every line of them with a number of cases in it.

    tests/tools/cases.py [--lines] BUILDDIR

Prints the sum of each test, or with --lines these lines as they are, and the sum of all."""

import os
import re
import sys

LINE = re.compile(r"(?:^|[\s(])([0-9]+) cases\b")


def main():
    lines = sys.argv[1:2] == ["--lines"]
    total = 0
    for directory, _, names in sorted(os.walk(os.path.join(sys.argv[-1], "tests"))):
        for name in sorted(name for name in names if name.endswith(".log")):
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as log:
                found = [line.strip() for line in log if LINE.search(line)]
            played = sum(int(LINE.search(line).group(1)) for line in found)
            total += played
            if lines:
                for line in found:
                    print("%-22s %s" % (name[:-4], line))
            elif found:
                print("%9d  %s" % (played, name[:-4]))
    print("%9d  cases in all" % total)


main()
