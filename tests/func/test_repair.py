#!/usr/bin/env python3
"""verify --repair: what is damaged is set aside, just its seconds are forgotten, the next sync reads them again and
says which events of the damaged file the server no longer gave."""

import gzip
import json
import os
import re
import shutil
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

DAY = "events/2026/2026-03-03.ndjson"
SPAN = {"from": "2026-03-03T00:00:00Z", "to": "2026-03-04T00:00:00Z"}
OF_DAY = ("--between", "2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z")


def read(path):
    with open(path, "rb") as data:
        return data.read()


def write(path, data):
    with open(path, "wb") as out:
        out.write(data)
    os.chmod(path, 0o600)


class Archives(harness.TestCase):
    compression = "none"
    suffix = ""

    def setUp(self):
        super().setUp()
        self.server = self.sandbox("--organizations", "2", "--events", "600", "--from", "2026-03-01T00:00:00Z",
                                   "--to", "2026-03-06T00:00:00Z", "--no-limits")
        self.config = self.configure()
        self.sync(self.config)
        self.archive = os.path.join(self.archives, "org0001")

    def configure(self, start="2026-03-01T00:00:00Z", **options):
        return self.server.config(self.directory, "--backfill-start", start,
                                  output="compression: " + self.compression, **options)

    def path(self, name):
        return os.path.join(self.archive, name)

    def aside(self, *names):
        return os.path.join(self.archive, "quarantine", "damaged", *names)

    def verify(self, *options, code=0, config=None):
        done = harness.orgsync("verify", "--json", "-c", config or self.config, *options)
        self.assert_code(done, code)
        return json.loads(done.out)

    def repair(self, code=13, config=None, name="org0001"):
        """What verify --repair says of the one organization; the other one is left alone."""
        other = os.path.join(self.archives, "org0002")
        tree = harness.tree(other)
        document = self.verify("--repair", code=code, config=config)
        self.assertEqual(harness.tree(other), tree)
        return harness.of(document, name)

    def repair_file(self, path, **expected):
        """Repairs an archive in which the one file is damaged. The entry of it."""
        entry = self.repair()
        self.assertIsNone(entry["error"])
        self.assertTrue(entry["findings"])
        (one,) = entry["repaired"]
        self.assertEqual(one["path"], path)
        for key, value in expected.items():
            self.assertEqual(one[key], value, one)
        self.assertFalse(os.path.lexists(self.path(path)))
        return one

    def check_whole(self, gone=0, altered=0, code=None):
        """The next sync makes the archive whole; one more finds nothing to do. The sync's entry."""
        report = self.sync(self.config, code=(3 if gone else 0) if code is None else code)
        entry = harness.of(report, "org0001")
        self.assertEqual((entry["outcome"], entry["error"]), ("up_to_date", None))
        self.assertEqual((entry["events_gone"], entry["events_altered"], entry["reported"]),
                         (gone, altered, gone > 0), entry)
        self.assertEqual((report["totals"]["events_gone"], report["totals"]["events_altered"]), (gone, altered))
        self.verify()
        again = harness.of(self.sync(self.config), "org0001")
        self.assertEqual((again["events_gone"], again["events_altered"], again["events_new"]), (0, 0, 0))
        self.assertEqual(harness.ledger(self.archive)["repairs"], [])
        return entry


class Files(Archives):
    def test_altered(self):
        data = bytearray(read(self.path(DAY)))
        where = data.index(b'"id":"') + 8
        data[where] = ord("0") if data[where] != ord("0") else ord("1")
        write(self.path(DAY), bytes(data))
        one = self.repair_file(DAY, moved_to="quarantine/damaged/2026-03-03.1/2026-03-03.ndjson", forgotten=SPAN,
                               read_again=SPAN, compared=True)
        self.assertEqual(read(self.path(one["moved_to"])), bytes(data))


if __name__ == "__main__":
    harness.main()
