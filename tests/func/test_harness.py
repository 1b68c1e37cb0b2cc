#!/usr/bin/env python3
"""The harness itself: a comparison that cannot fail would prove nothing, so each is shown what is wrong."""

import gzip
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness


class Programs(harness.TestCase):
    def test_what_a_program_said_and_how_it_ended(self):
        done = harness.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
        self.assertEqual((done.code, done.out, done.err), (7, "out\n", "err\n"))

    def test_a_program_that_hangs_is_ended_with_its_children(self):
        with self.assertRaisesRegex(harness.Broken, "hung(.|\n)*begun"):
            harness.run(["sh", "-c", "echo begun; sleep 1000 & wait"], timeout_s=1)

    def test_what_a_sanitizer_finds_is_no_success(self):
        for text in ("==1==ERROR: AddressSanitizer: x", "==1==ERROR: LeakSanitizer: x",
                     "WARNING: ThreadSanitizer: data race", "a.c:1:2: runtime error: x"):
            with self.assertRaises(harness.Broken):
                harness.run(["sh", "-c", "echo '%s' >&2" % text])

    def test_the_environment_is_plain(self):
        os.environ["https_proxy"] = "http://127.0.0.1:9/"
        self.addCleanup(os.environ.pop, "https_proxy")
        self.assertNotIn("proxy", harness.run(["env"]).out)


class Archives(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.archive = os.path.join(self.directory, "a")
        os.makedirs(os.path.join(self.archive, "events", "2025"))

    def day(self, name, data):
        path = os.path.join(self.archive, "events", "2025", name)
        with gzip.open(path, "wb") if name.endswith(".gz") else open(path, "wb") as out:
            out.write(data)

    def test_lines_of_all_days_in_order(self):
        self.day("2025-01-02.ndjson.gz", b"c\n")
        self.day("2025-01-01.ndjson", b"a\nb\n")
        self.assertEqual(harness.archive_lines(self.archive), [b"a", b"b", b"c"])

    def test_a_line_without_its_end(self):
        self.day("2025-01-01.ndjson", b"a\nb")
        self.assertRaises(harness.Broken, harness.archive_lines, self.archive)

    def test_a_file_of_another_kind(self):
        self.day("2025-01-01.ndjson.tmp", b"a\n")
        self.assertRaises(harness.Broken, harness.archive_lines, self.archive)

    def test_difference(self):
        expected = [b"a", b"b", b"c"]
        self.assertEqual(harness.difference([b"a", b"b", b"c"], expected), "")
        for lines, said in (([b"a", b"c"], "1 missing, 0 too many"), ([b"a", b"b", b"b", b"c"], "0 missing, 1 too"),
                            ([b"a", b"B", b"c"], "1 missing, 1 too"), ([b"a", b"c", b"b"], "from line 2"),
                            ([], "3 missing")):
            self.assertIn(said, harness.difference(lines, expected))

    def test_a_tree_that_was_rewritten_with_the_same_bytes(self):
        self.day("2025-01-01.ndjson", b"a\n")
        before = harness.tree(self.archive)
        self.assertEqual(harness.tree(self.archive), before)
        path = os.path.join(self.archive, "events", "2025", "2025-01-01.ndjson")
        with open(path + ".new", "wb") as out:
            out.write(b"a\n")
        os.rename(path + ".new", path)
        self.assertNotEqual(harness.tree(self.archive), before)


class Simulated(harness.TestCase):
    def test_a_sandbox_starts_says_what_it_holds_and_ends(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "10")
        path = sandbox.config(self.directory, more="limits: { workers: 2 }\n")
        with open(path, encoding="utf-8") as config:
            text = config.read()
        self.assertIn(sandbox.url, text)
        self.assertIn("\nlimits: { workers: 2 }\norganizations:\n  - name: org0001\n", text)
        self.assertEqual(len(os.listdir(os.path.join(self.directory, "secrets"))), 2)
        self.assertEqual(len(set(sandbox.ids("org0001"))), 10)
        self.assertEqual(len(sandbox.events("org0002")), 10)
        before = sandbox.stats()
        self.assertEqual(sorted(before["organizations"]), ["org0001", "org0002"])
        self.assertGreater(sandbox.shift(3600)["now_ms"], before["now_ms"] + 3599000)
        sandbox.stop()
        sandbox.stop()

    def test_a_credential_in_the_wrong_place_is_counted(self):
        """Every test ends its sandboxes, and with that fails where one organization's credential was used for
        another. Here two keys are exchanged in the configuration."""
        for kind in ("digest", "service-account"):
            sandbox = harness.Sandbox("--organizations", "3", "--events", "10", "--credentials", kind)
            config = sandbox.config(self.directory, name=kind + ".yaml")
            with open(config, encoding="utf-8") as text:
                text = text.read()
            ids = re.findall(r'org_id: "(\w+)"', text)
            with open(config, "w", encoding="utf-8") as out:
                out.write(text.replace(ids[0], "x").replace(ids[1], ids[0]).replace('"x"', '"%s"' % ids[1]))
            done = harness.orgsync("test", "--json", "-c", config)
            self.assert_code(done, 3)
            with self.assertRaisesRegex(harness.Broken, "another organization's credential 2"):
                sandbox.stop()

    def test_a_sandbox_that_cannot_start(self):
        with self.assertRaisesRegex(harness.Broken, "no address"):
            harness.Sandbox("--organizations", "none")


if __name__ == "__main__":
    harness.main()
