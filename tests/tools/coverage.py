#!/usr/bin/env python3
"""Line coverage of lib/ and workers/, from what gcov noted while the tests ran.

    tests/tools/coverage.py [--least PERCENT] [--missing] SRCDIR BUILDDIR

A line for each room and one for all; with --missing also the lines of each file that never ran. Ends with 1 where
all together is less than PERCENT (90), or where there is nothing to count. cmd/ is shown and not counted."""

import argparse
import collections
import json
import os
import subprocess
import sys

COUNTED = ("lib", "workers")


def documents(builddir):
    """What gcov says of every object file of the program that ran."""
    for top in COUNTED + ("cmd",):
        for directory, _, names in sorted(os.walk(os.path.join(builddir, top))):
            # One object at a time and in its own directory: the names in the notes are relative to where it was made.
            for name in sorted(names):
                if not name.endswith(".gcda"):
                    continue
                done = subprocess.run(["gcov", "--json-format", "--stdout", os.path.join(directory, name)],
                                      cwd=builddir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
                if done.returncode != 0:
                    sys.exit("gcov %s: %s" % (name, done.stderr.decode(errors="replace")))
                for line in done.stdout.splitlines():
                    if line.strip():
                        yield json.loads(line)


def read(srcdir, builddir):
    """{file: {line: how often it ran}}; a header's lines are added up over all that include it."""
    files = collections.defaultdict(lambda: collections.defaultdict(int))
    for document in documents(builddir):
        for part in document["files"]:
            path = os.path.relpath(os.path.join(document["current_working_directory"], part["file"]), srcdir)
            if path.split(os.sep)[0] not in COUNTED + ("cmd",):
                continue
            for line in part["lines"]:
                files[path][line["line_number"]] += line["count"]
    return files


def never_compiled(srcdir, files):
    """Sources of which no test ever ran anything: they have no counts at all."""
    return sorted(os.path.relpath(os.path.join(directory, name), srcdir)
                  for top in COUNTED for directory, _, names in os.walk(os.path.join(srcdir, top)) for name in names
                  if name.endswith(".c") and os.path.relpath(os.path.join(directory, name), srcdir) not in files)


def spans(numbers):
    """"3, 7-9"."""
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ", ".join("%d" % a if a == b else "%d-%d" % (a, b) for a, b in out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--least", type=float, default=90)
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("srcdir")
    parser.add_argument("builddir")
    options = parser.parse_args()
    srcdir, builddir = os.path.realpath(options.srcdir), os.path.realpath(options.builddir)
    files = read(srcdir, builddir)
    rooms = collections.defaultdict(lambda: [0, 0])
    for path in sorted(files):
        lines = files[path]
        ran = sum(1 for count in lines.values() if count > 0)
        rooms[os.path.dirname(path)][0] += ran
        rooms[os.path.dirname(path)][1] += len(lines)
        if options.missing and ran < len(lines):
            print("%s: %s" % (path, spans(n for n, count in lines.items() if count == 0)))
    for path in never_compiled(srcdir, files):
        print("%s: nothing of it ran" % path)
        # As many lines as it has: it must not look better than a file that was tried.
        with open(os.path.join(srcdir, path), encoding="utf-8") as text:
            rooms[os.path.dirname(path)][1] += len(text.readlines())
    total = [0, 0]
    for room in sorted(rooms):
        ran, of = rooms[room]
        counted = room.split(os.sep)[0] in COUNTED
        print("%6.1f %%  %5d of %5d lines  %s%s" % (100 * ran / of, ran, of, room, "" if counted else "  (not counted)"))
        if counted:
            total[0] += ran
            total[1] += of
    if total[1] == 0:
        sys.exit("no test has run in %s, or it was not configured with --enable-coverage" % builddir)
    percent = 100 * total[0] / total[1]
    print("%6.1f %%  %5d of %5d lines  lib and workers; at least %g %% are wanted" % (percent, total[0], total[1],
                                                                                      options.least))
    sys.exit(0 if percent >= options.least else 1)


main()
