#!/usr/bin/env python3
"""docs/GUARANTEES.md names a test for each promise: those tests are there."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

WHERE = ("tests/func", "tests/unit", "tests/crash", "tests/bench", "tests/support", "tests")
# `test_x.py: one, two` or `test_x` or `tests/crash/test_x`
NAMED = re.compile(r"`((?:tests/\w+/)?(?:test_\w+|isolation|harness)(?:\.py)?|tests/fuzz)(?:: ([\w, \n]+))?`")


def source_of(name):
    """The text of the test that a document calls so; None where there is none."""
    for path in [name, name + ".c"] + [os.path.join(where, name + end) for where in WHERE for end in ("", ".c")]:
        path = os.path.join(harness.SRCDIR, path)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as source:
                return source.read()
        if os.path.isdir(path):
            return ""
    return None


def mistakes(text):
    found = []
    for name, cases in NAMED.findall(text):
        source = source_of(name)
        if source is None:
            found.append(name)
        for case in re.findall(r"\w+", cases):
            if source is not None and "def test_%s(" % case not in source:
                found.append("%s: %s" % (name, case))
    return found


class Guarantees(unittest.TestCase):
    def test_every_test_is_there(self):
        with open(os.path.join(harness.SRCDIR, "docs", "GUARANTEES.md"), encoding="utf-8") as document:
            text = document.read()
        self.assertGreater(len(NAMED.findall(text)), 30)
        self.assertEqual(mistakes(text), [])

    def test_every_promise_has_one(self):
        with open(os.path.join(harness.SRCDIR, "docs", "GUARANTEES.md"), encoding="utf-8") as document:
            rows = [line.split("|") for line in document if line.startswith("| ") and "promise | where" not in line]
        self.assertGreater(len(rows), 20)
        self.assertEqual([row[1].strip() for row in rows if "test" not in row[2]], [])

    def test_what_is_not_there_is_seen(self):
        self.assertEqual(mistakes("`test_never.py` `test_cli.py: help, never` `tests/crash/test_never`"),
                         ["test_never.py", "test_cli.py: never", "tests/crash/test_never"])


if __name__ == "__main__":
    harness.main()
