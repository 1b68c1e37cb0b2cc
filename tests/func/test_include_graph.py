#!/usr/bin/env python3
"""The rooms call each other in one direction only, and this keeps it so.

base <- conf | http | store;  http <- atlas;  atlas, store <- sync <- workers <- cmd.  Never back.
Every #include of the tree is read and held against the tables below; the rules themselves are tried on
small trees that break them.
"""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

# Which rooms each room may include, besides itself.
MAY_INCLUDE = {
    "lib/base": (),
    "lib/conf": ("lib/base",),
    "lib/http": ("lib/base",),
    "lib/store": ("lib/base",),
    "lib/atlas": ("lib/base", "lib/http"),
    "lib/sync": ("lib/base", "lib/http", "lib/atlas", "lib/store"),
    "workers": ("lib/base", "lib/conf", "lib/http", "lib/atlas", "lib/store", "lib/sync"),
    "cmd/orgsync": ("lib/base", "lib/conf", "lib/http", "lib/atlas", "lib/store", "lib/sync", "workers"),
    "cmd/atlas-sandbox": ("lib/base",),
}
# Tests may look into every room; no room may look into the tests.
TESTS_MAY_INCLUDE = tuple(MAY_INCLUDE) + ("tests",)

# Which rooms may know a library's headers. What is not named here (the C library's) is free to all.
LIBRARIES = (
    (re.compile(r"curl/"), ("lib/http",)),
    (re.compile(r"yaml\.h$"), ("lib/conf",)),
    (re.compile(r"jansson"), ("lib/conf", "lib/atlas", "lib/store", "cmd/orgsync", "cmd/atlas-sandbox")),
    (re.compile(r"openssl/"), ("lib/base", "lib/http", "lib/atlas", "lib/store", "cmd/atlas-sandbox")),
    (re.compile(r"zlib\.h$"), ("lib/store", "cmd/atlas-sandbox")),
    (re.compile(r"zstd"), ("lib/store",)),
    (re.compile(r"microhttpd"), ("cmd/atlas-sandbox",)),
    (re.compile(r"pthread\.h$"), ("lib/base", "lib/http", "workers", "cmd/orgsync", "cmd/atlas-sandbox")),
    (re.compile(r"check\.h$"), ()),
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">\n]+)[">]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
ENDS_THE_PROCESS = re.compile(r"(?<![\w.>])(exit|abort|quick_exit)\s*\(")


def room_of(path):
    parts = path.split("/")
    if parts[0] in ("workers", "tests"):
        return parts[0]
    if parts[0] in ("lib", "cmd") and len(parts) > 2:
        return "/".join(parts[:2])
    return None


def sources(top):
    found = []
    for start in ("lib", "workers", "cmd", "tests"):
        for directory, _, files in os.walk(os.path.join(top, start)):
            found += [os.path.relpath(os.path.join(directory, name), top)
                      for name in files if name.endswith((".c", ".h"))]
    return sorted(found)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as source:
        return source.read()


def complaint_about_include(top, path, quote, target):
    room = room_of(path)
    if room is None:
        return "stands in no room"
    if target == "config.h":
        return None if quote == '"' else 'includes <config.h>: our own headers take quotes'
    target_room = room_of(target)
    if quote == '"':
        if target_room is None:
            return 'includes "%s": write the path from the top, such as "lib/base/buf.h"' % target
        if not os.path.exists(os.path.join(top, target)):
            return 'includes "%s", which is not there' % target
        allowed = TESTS_MAY_INCLUDE if room == "tests" else MAY_INCLUDE.get(room, ())
        if target_room != room and target_room not in allowed:
            return "includes %s: %s may not know %s" % (target, room, target_room)
        if target.endswith(".c") and room != "tests":
            return "includes the source file %s" % target
        return None
    if target_room is not None and os.path.exists(os.path.join(top, target)):
        return "includes <%s>: our own headers take quotes" % target
    for pattern, rooms in LIBRARIES:
        if pattern.match(target) and room != "tests" and room not in rooms:
            return "includes <%s>: that library belongs to %s" % (target, ", ".join(rooms) or "the tests")
    return None


def graph_complaints(top):
    complaints = []
    for path in sources(top):
        text = read(top, path)
        for match in INCLUDE.finditer(text):
            said = complaint_about_include(top, path, match.group(1), match.group(2))
            if said:
                complaints.append("%s:%d: %s" % (path, text.count("\n", 0, match.start()) + 1, said))
    return complaints


def room_complaints(top):
    """Every directory of C files is a known room and has a README.md."""
    rooms = {room_of(path) for path in sources(top)} - {None, "tests"}
    return (["%s: is a room that the table does not know" % room for room in sorted(rooms - set(MAY_INCLUDE))] +
            ["%s: has no README.md" % room for room in sorted(rooms)
             if not os.path.exists(os.path.join(top, room, "README.md"))])


def ending_complaints(top):
    """One organization's trouble must not end the others: no exit() or abort() in lib/ and workers/."""
    complaints = []
    for path in sources(top):
        if not path.startswith(("lib/", "workers/")):
            continue
        text = COMMENT_OR_STRING.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), read(top, path))
        complaints += ["%s:%d: calls %s()" % (path, text.count("\n", 0, match.start()) + 1, match.group(1))
                       for match in ENDS_THE_PROCESS.finditer(text)]
    return complaints


def build_complaints(top):
    """A source file that no makefile names is not in the release."""
    makefiles = [os.path.join(top, "Makefile.am")]
    for start in ("lib", "workers", "cmd", "tests"):
        for directory, _, files in os.walk(os.path.join(top, start)):
            makefiles += [os.path.join(directory, name) for name in files if name.endswith(".mk")]
    named = "".join(read(top, path) for path in makefiles if os.path.exists(path))
    words = set(re.split(r"[\s=\\]+", named))
    # automake makes tests/unit/test_x of tests/unit/test_x.c where no sources are named.
    return ["%s: is named in no makefile" % path for path in sources(top)
            if path not in words and os.path.splitext(path)[0] not in words]


class Tree(harness.TestCase):
    def clean(self, complaints):
        if complaints:
            self.fail("\n" + "\n".join(complaints))

    def test_includes_follow_the_rooms(self):
        self.assertGreater(len(sources(harness.SRCDIR)), 20)
        self.clean(graph_complaints(harness.SRCDIR))

    def test_every_room_has_a_readme(self):
        self.clean(room_complaints(harness.SRCDIR))

    def test_no_library_code_ends_the_process(self):
        self.clean(ending_complaints(harness.SRCDIR))

    def test_every_source_file_is_in_the_build(self):
        self.clean(build_complaints(harness.SRCDIR))

    def test_the_table_has_no_cycle(self):
        def reach(room, seen):
            for lower in MAY_INCLUDE[room]:
                self.assertNotIn(lower, seen)
                reach(lower, seen + (lower,))
        for room in MAY_INCLUDE:
            reach(room, (room,))


class Rules(harness.TestCase):
    """Each rule must see the tree that breaks it."""

    def tree(self, files):
        top = tempfile.mkdtemp(prefix="orgsync-rooms-", dir=self.directory)
        for path, text in files.items():
            os.makedirs(os.path.join(top, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(top, path), "w", encoding="utf-8") as out:
                out.write(text)
        return top

    def graph(self, path, text):
        files = {"lib/base/err.h": "", "lib/http/http.h": "", "lib/sync/sync.h": "", "workers/run.h": "",
                 "tests/support/fake.h": "", "lib/base/err.c": ""}
        files[path] = text
        return graph_complaints(self.tree(files))

    def test_what_is_allowed(self):
        for path, text in (("lib/http/a.c", '#include "lib/http/http.h"\n#include "lib/base/err.h"\n#include <curl/curl.h>\n'),
                           ("workers/a.c", '#include <pthread.h>\n#include "lib/sync/sync.h"\n'),
                           ("cmd/atlas-sandbox/a.c", '#include <microhttpd.h>\n#include "lib/base/err.h"\n'),
                           ("tests/unit/a.c", '#include "workers/run.h"\n#include <check.h>\n#include <jansson.h>\n'),
                           ("lib/base/a.c", '#include "config.h"\n#include <stdio.h>\n')):
            self.assertEqual(self.graph(path, text), [])

    def test_what_is_not(self):
        for path, text, said in (
                ("lib/base/a.c", '#include "lib/http/http.h"', "may not know"),
                ("lib/http/a.h", '  #  include "lib/sync/sync.h"', "may not know"),
                ("lib/sync/a.c", '#include "workers/run.h"', "may not know"),
                ("cmd/atlas-sandbox/a.c", '#include "lib/http/http.h"', "may not know"),
                ("lib/base/a.c", '#include "tests/support/fake.h"', "may not know"),
                ("lib/base/a.c", '#include "err.h"', "path from the top"),
                ("lib/base/a.c", '#include "lib/base/gone.h"', "not there"),
                ("lib/base/a.c", '#include <lib/base/err.h>', "take quotes"),
                ("lib/http/a.c", '#include "lib/base/err.c"', "source file"),
                ("workers/a.c", '#include <curl/curl.h>', "belongs to lib/http"),
                ("workers/a.c", '#include <jansson.h>', "belongs to"),
                ("lib/sync/a.c", '#include <pthread.h>', "belongs to"),
                ("lib/store/a.c", '#include <yaml.h>', "belongs to lib/conf"),
                ("cmd/orgsync/a.c", '#include <check.h>', "belongs to the tests")):
            complaints = self.graph(path, "/* a */\n" + text + "\n")
            self.assertEqual(len(complaints), 1, (path, text, complaints))
            self.assertIn(said, complaints[0])
            self.assertTrue(complaints[0].startswith(path + ":2: "), complaints)

    def test_rooms_without_readme_or_place(self):
        top = self.tree({"lib/base/a.c": "", "lib/attic/a.c": "", "lib/attic/README.md": ""})
        self.assertEqual(room_complaints(top), ["lib/attic: is a room that the table does not know",
                                                "lib/base: has no README.md"])

    def test_endings(self):
        top = self.tree({"lib/base/a.c": "/* exit(1) */\nchar *s = \"abort()\";\n_exit(2);\nat_exit(f);\nexit (1);\n",
                         "workers/a.c": "\tabort();\n", "cmd/orgsync/a.c": "exit(0);\n"})
        self.assertEqual(ending_complaints(top), ["lib/base/a.c:5: calls exit()", "workers/a.c:1: calls abort()"])

    def test_forgotten_sources(self):
        top = self.tree({"lib/base/a.c": "", "lib/base/b.c": "", "tests/unit/test_a.c": "",
                         "lib/base/local.mk": "x_SOURCES = \\\n\tlib/base/a.c\n",
                         "tests/unit/a.mk": "check_PROGRAMS += tests/unit/test_a\n"})
        self.assertEqual(build_complaints(top), ["lib/base/b.c: is named in no makefile"])


if __name__ == "__main__":
    harness.main()
