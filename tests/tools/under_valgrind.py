#!/usr/bin/env python3
"""The real orgsync under valgrind's memcheck, against the sandbox: the ways through the program that every user goes.
Run by `make check-valgrind`, which says in MEMCHECK how valgrind is called."""

import os
import re
import shlex
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

MEMCHECK = shlex.split(os.environ.get("MEMCHECK", ""))


@unittest.skipIf(not MEMCHECK, "make check-valgrind runs this")
class UnderValgrind(harness.TestCase):
    def orgsync(self, *arguments, code=0):
        done = harness.run(MEMCHECK + [harness.program("orgsync")] + list(arguments))
        self.assert_code(done, code)
        self.assertNotIn("==", done.err, done)
        return done

    def test_first_run_next_run_and_verify(self):
        """Both kinds of credential, every compression, a merge into a day that is there, events that come late."""
        now = int(time.time())
        sandbox = self.sandbox("--organizations", "2", "--events", "700", "--credentials", "mixed", "--live", "1",
                               "--late", "0.2:600", "--from", stamp(now - 90000), "--to",
                               stamp(now - 4000), "--now", stamp(now - 3600), "--no-limits")
        for compression in ("none", "gzip", "zstd"):
            config = sandbox.config(self.directory, output="compression: " + compression,
                                    more="defaults: { settle: 10s, overlap: 20m }\n")
            self.orgsync("sync", "-q", "-c", config)
            sandbox.shift(700)
        self.orgsync("verify", "-q", "-c", config)
        end = stamp(sandbox.stats()["now_ms"] // 1000 - 1400)
        for name in ("org0001", "org0002"):
            lines = [line for line in harness.archive_lines(os.path.join(self.archives, name))
                     if re.search(rb'"created":"([^"]*)"', line).group(1).decode() < end]
            self.assertGreater(len(lines), 1000)
            self.assertEqual(harness.difference(lines, sandbox.events_now(name, end=end)), "")


def stamp(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


if __name__ == "__main__":
    harness.main()
