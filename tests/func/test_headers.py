#!/usr/bin/env python3
"""Each header compiles alone, and twice over, with warnings as errors.

A header that leans on what its includer happened to include first breaks for the next includer.
"""

import os
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

ROOMS = ("lib", "workers", "cmd", "tests")
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wstrict-prototypes", "-Wundef", "-Werror", "-fsyntax-only", "-D_GNU_SOURCE"]


def headers():
    found = []
    for room in ROOMS:
        for directory, _, files in os.walk(os.path.join(harness.SRCDIR, room)):
            for name in files:
                if name.endswith(".h"):
                    found.append(os.path.relpath(os.path.join(directory, name), harness.SRCDIR))
    return sorted(found)


def compile_text(text):
    """Compiles text as one C file; returns the compiler's complaints, "" where there are none."""
    command = shlex.split(os.environ.get("CC", "cc")) + FLAGS
    command += ["-I", harness.SRCDIR, "-I", harness.BUILDDIR]
    command += shlex.split(os.environ.get("DEPS_CFLAGS", ""))
    with tempfile.NamedTemporaryFile("w", suffix=".c", prefix="orgsync-header-") as source:
        source.write(text)
        source.flush()
        done = subprocess.run(command + [source.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    if done.returncode != 0 and not done.stdout:
        return "the compiler ended with %d" % done.returncode
    return done.stdout


class Headers(harness.TestCase):
    def test_the_check_sees_a_header_that_leans_on_another(self):
        self.assertIn("error", compile_text("size_t orgsync_leans(void);\n"))
        self.assertEqual(compile_text("#include <stddef.h>\nsize_t orgsync_stands(void);\n"), "")

    def test_there_are_headers(self):
        self.assertGreater(len(headers()), 10)


def alone(header):
    def test(self):
        self.assertEqual(compile_text('#include "%s"\n#include "%s"\n' % (header, header)), "")
    test.__name__ = "test_alone_" + header.replace("/", "_").replace(".", "_").replace("-", "_")
    return test


for path in headers():
    method = alone(path)
    setattr(Headers, method.__name__, method)

if __name__ == "__main__":
    harness.main()
