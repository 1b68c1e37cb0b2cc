#!/usr/bin/env python3
"""`make install DESTDIR=` puts every file where Debian would, and `make uninstall` takes it away again."""

import os
import re
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

EXPECTED = {
    "usr/bin/orgsync": 0o755,
    "usr/bin/atlas-sandbox": 0o755,
    "usr/share/man/man1/orgsync.1": 0o644,
    "usr/share/man/man1/atlas-sandbox.1": 0o644,
    "usr/share/man/man5/orgsync.yaml.5": 0o644,
    "usr/share/doc/orgsync/README.md": 0o644,
    "usr/share/doc/orgsync/NEWS": 0o644,
    "usr/share/doc/orgsync/LICENSE": 0o644,
    "usr/share/doc/orgsync/DESIGN.md": 0o644,
}
PLACES = re.compile(r"usr/(bin/[^/]+|share/man/man[15]/[^/]+\.[15]|share/doc/orgsync/[^/]+"
                    r"|share/bash-completion/completions/[^/]+|lib/systemd/system/[^/]+)$")


def make(*arguments):
    # A make of its own: the one that runs this test must not lend it its job slots.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR")}
    return subprocess.run(["make", "-C", harness.BUILDDIR] + list(arguments), env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=300, check=False)


def files_below(top):
    return {os.path.relpath(os.path.join(directory, name), top)
            for directory, _, names in os.walk(top) for name in names}


class Install(harness.TestCase):
    def test_install_and_uninstall(self):
        where = ["DESTDIR=" + self.directory, "prefix=/usr"]
        done = make("-s", "install", *where)
        self.assertEqual(done.returncode, 0, done.stdout)
        found = files_below(self.directory)
        for path, mode in EXPECTED.items():
            self.assertIn(path, found)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.directory, path)).st_mode), mode, path)
        for path in found:
            self.assertRegex(path, PLACES)
        for name in ("orgsync", "atlas-sandbox"):
            done = harness.run([os.path.join(self.directory, "usr/bin", name), "--version"])
            self.assertEqual(done.code, 0, done)
            self.assertRegex(done.out, r"\A%s\b.* \d+\.\d+" % name)
        done = make("-s", "uninstall", *where)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(files_below(self.directory), set())

    def test_manual_pages_have_what_a_reader_looks_for(self):
        done = make("-s", "install-man", "DESTDIR=" + self.directory, "prefix=/usr")
        self.assertEqual(done.returncode, 0, done.stdout)
        pages = {path for path in files_below(self.directory) if "/man/" in path}
        self.assertEqual(len(pages), 3, pages)
        for path in pages:
            with open(os.path.join(self.directory, path), encoding="utf-8") as page:
                text = page.read()
            for section in ("NAME", "DESCRIPTION"):
                self.assertRegex(text, r"(?m)^\.S[Hh] \"?%s" % section, path)


if __name__ == "__main__":
    harness.main()
