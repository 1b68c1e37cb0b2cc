#!/usr/bin/env python3
"""Damage: verify finds it, names it and ends with 13; sync does not write over it."""

import gzip
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

DAY = "events/2026/2026-03-03.ndjson"
RANGE = ("2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z")


def read(path):
    with open(path, "rb") as data:
        return data.read()


def write(path, data):
    with open(path, "wb") as out:
        out.write(data)


class Archives(harness.TestCase):
    compression = "none"

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

    def findings(self, name="org0001", code=13):
        """What verify finds in the organization; the other one has to be found sound."""
        tree = harness.tree(self.archives)
        done = harness.orgsync("verify", "--json", "-c", self.config)
        self.assert_code(done, code)
        document = json.loads(done.out)
        other = harness.of(document, "org0002")
        self.assertEqual((other["findings"], other["error"]), ([], None))
        self.assertEqual(harness.tree(self.archives), tree, "verify changes nothing")
        one = harness.of(document, name)
        text = re.sub(r"\s+", " ", harness.orgsync("verify", "-c", self.config).out)
        for finding in one["findings"]:
            if finding["path"] is not None:
                self.assertIn("%s/%s" % (name, finding["path"]), text)
            self.assertIn(finding["text"], text)
        return one["findings"] if one["error"] is None else one["error"]

    def one_finding(self, path, text, span=RANGE):
        findings = self.findings()
        self.assertTrue(findings)
        for finding in findings:
            self.assertEqual((finding["path"], (finding["from"], finding["to"])), (path, span), findings)
        self.assertRegex(" / ".join(finding["text"] for finding in findings), text)


class Files(Archives):
    def test_sound(self):
        self.assertEqual(self.findings(code=0), [])

    def test_one_byte_altered(self):
        data = bytearray(read(self.path(DAY)))
        where = data.index(b'"id":"') + 8
        data[where] ^= 1
        write(self.path(DAY), bytes(data))
        self.one_finding(DAY, r"has the \d+ events and \d+ bytes of the ledger, and not its SHA-256.*: bring the file back from a backup")

    def test_truncated(self):
        data = read(self.path(DAY))
        for length in (0, 100, len(data) - 1, data.rindex(b"\n", 0, -1) + 1):
            write(self.path(DAY), data[:length])
            self.one_finding(DAY, "backup")

    def test_longer(self):
        data = read(self.path(DAY))
        write(self.path(DAY), data + data[data.rindex(b"\n", 0, -1) + 1:])
        self.one_finding(DAY, "backup")

    def test_lines_in_another_order(self):
        lines = read(self.path(DAY)).split(b"\n")
        lines[3], lines[4] = lines[4], lines[3]
        write(self.path(DAY), b"\n".join(lines))
        self.one_finding(DAY, r"line \d+ is out of order")

    def test_missing(self):
        os.unlink(self.path(DAY))
        self.one_finding(DAY, "it is not there")

    def test_all_missing(self):
        shutil.rmtree(self.path("events"))
        findings = self.findings()
        self.assertEqual(len(findings), 5)
        self.assertTrue(all("not there" in finding["text"] for finding in findings))

    def test_a_link_or_a_directory_in_its_place(self):
        data = read(self.path(DAY))
        os.unlink(self.path(DAY))
        elsewhere = os.path.join(self.directory, "elsewhere")
        write(elsewhere, data)
        os.symlink(elsewhere, self.path(DAY))
        self.assertEqual(self.findings()[0]["path"], DAY)
        os.unlink(self.path(DAY))
        os.mkdir(self.path(DAY))
        self.assertEqual(self.findings()[0]["path"], DAY)

    def test_files_that_nobody_knows(self):
        write(self.path("events/2026/2026-05-05.ndjson"), b'{"id":"x"}\n')
        self.one_finding("events/2026/2026-05-05.ndjson", "the ledger does not know it",
                         ("2026-05-05T00:00:00Z", "2026-05-06T00:00:00Z"))
        os.rename(self.path("events/2026/2026-05-05.ndjson"), self.path("events/2026/notes.txt"))
        (finding,) = self.findings()
        self.assertEqual((finding["path"], finding["from"]), ("events/2026/notes.txt", None))

    def test_a_second_file_of_a_day(self):
        with gzip.open(self.path(DAY + ".gz"), "wb") as out:
            out.write(read(self.path(DAY)))
        self.one_finding(DAY + ".gz", "the ledger does not know it")


class Ledgers(Archives):
    def edit(self, change):
        """Changes the ledger as somebody who has its checksum right: what it says is wrong."""
        document = harness.ledger(self.archive)
        change(document)
        harness.write_ledger(self.archive, document)

    def refused(self, regex, hint="."):
        """verify calls it damage, sync leaves everything alone, and the other organization goes on."""
        error = self.findings()
        self.assertEqual(error["code"], "ledger")
        self.assertRegex(error["text"], regex)
        tree = harness.tree(self.archive)
        report = self.sync(self.config, code=3)
        entry = harness.of(report, "org0001")
        self.assertEqual((entry["outcome"], entry["error"]["code"]), ("failed", "ledger"))
        self.assertRegex(entry["error"]["text"], regex)
        self.assertRegex(entry["error"]["hint"], hint)
        self.assertEqual(harness.tree(self.archive), tree)
        self.assertEqual(harness.of(report, "org0002")["outcome"], "up_to_date")
        for command, code in (("status", 3), ("plan", 3), ("verify", 13), ("verify --repair", 13)):
            done = harness.orgsync("--json", "-c", self.config, *command.split())
            self.assert_code(done, code)
            error = harness.of(json.loads(done.out), "org0001")["error"]
            self.assertEqual(error["code"], "ledger", command)
            self.assertRegex(error["text"], regex)
            self.assertRegex(error["hint"], hint)
            self.assertEqual(harness.tree(self.archive), tree, command)

    def test_a_sum_edited_by_hand(self):
        def change(document):
            document["days"]["2026-03-03"]["sha256"] = "0" * 64
        self.edit(change)
        self.one_finding(DAY, "of the ledger")

    def test_a_count_edited_by_hand(self):
        def change(document):
            document["days"]["2026-03-03"]["events"] += 1
        self.edit(change)
        self.one_finding(DAY, "of the ledger")

    def test_a_day_taken_out_by_hand(self):
        self.edit(lambda document: document["days"].pop("2026-03-03"))
        self.one_finding(DAY, "the ledger does not know it")

    def test_a_hole_made_by_hand(self):
        def change(document):
            whole = dict(document["covered"][0], to=document["covered"][-1]["to"])
            document["covered"] = [dict(whole, to="2026-03-03T10:00:00Z"), dict(whole, **{"from": "2026-03-03T11:00:00Z"})]
        self.edit(change)
        self.one_finding(None, "not read", ("2026-03-03T10:00:00Z", "2026-03-03T11:00:00Z"))
        # The next sync reads what is missing, and finds nothing that it has not.
        self.assertEqual(self.sync(self.config)["totals"]["events_new"], 0)
        self.assertEqual(self.findings(code=0), [])

    def test_of_a_newer_format(self):
        self.edit(lambda document: document.update(format=3))
        self.refused("written by a newer orgsync", "run the newer orgsync")

    def test_edited_by_hand(self):
        text = read(self.path("ledger.json"))
        covered = re.search(rb'"to": "(2026[^"]*)"', text).group(1)
        for edited in (text.replace(covered, b"2026-11-01T00:00:00Z"), text.replace(b'"events": ', b'"events": 1', 1),
                       text + b"\n", text[:-1], text.replace(b"\n", b"\r\n"), text.replace(b"\n  ", b"\n", 1),
                       json.dumps(json.loads(text)).encode(), json.dumps(json.loads(text), indent=1).encode(),
                       text[:text.index(b',\n "sha256"')] + b"}\n"):
            self.assertNotEqual(edited, text)
            write(self.path("ledger.json"), edited)
            self.refused("org0001/ledger.json: damaged: .*SHA-256", "bring org0001/ledger.json back from a backup")
        write(self.path("ledger.json"), text)
        self.assertEqual(self.findings(code=0), [])

    def test_lost(self):
        text = read(self.path("ledger.json"))
        os.unlink(self.path("ledger.json"))
        self.refused("ledger.json: it is not there, but day files are", "backup, or move the directory org0001 away")
        write(self.path("ledger.json"), text)
        os.chmod(self.path("ledger.json"), 0o600)
        self.assertEqual(self.findings(code=0), [])
        # Without a backup: what the hint says last.
        os.rename(self.archive, self.archive + ".old")
        self.sync(self.config)
        self.assert_all_exact(self.server, ["org0001", "org0002"])

    def test_of_the_format_before(self):
        def change(document):
            document["format"] = 1
            for name in ("repairs", "sha256"):
                del document[name]
        document = harness.ledger(self.archive)
        change(document)
        write(self.path("ledger.json"), json.dumps(document, indent=1).encode())
        self.assertEqual(self.findings(code=0), [])
        self.assertEqual(self.sync(self.config)["totals"]["events_new"], 0)
        self.assertEqual(self.findings(code=0), [])
        self.assertEqual(harness.ledger(self.archive)["format"], 2)

    def test_no_sound_text(self):
        text = read(self.path("ledger.json"))
        for damaged in (text[:-20], b"", b"\0" * 100, text.replace(b'"covered"', b'"Covered"'),
                        text.replace(b"2026-03-01T00:00:00Z", b"2026-03-91T00:00:00Z", 1)):
            write(self.path("ledger.json"), damaged)
            self.refused("org0001/ledger.json")

    def test_of_another_organization(self):
        other = harness.ledger(os.path.join(self.archives, "org0002"))["org_id"]
        self.edit(lambda document: document.update(org_id=other))
        self.refused("the archive of organization %s, not of" % other, "org_id")


class Names(Archives):
    def test_two_directories_exchanged(self):
        for before, after in (("org0001", "x"), ("org0002", "org0001"), ("x", "org0002")):
            os.rename(os.path.join(self.archives, before), os.path.join(self.archives, after))
        tree = {name: harness.tree(os.path.join(self.archives, name)) for name in ("org0001", "org0002")}
        report = self.sync(self.config, code=4)
        for name, files in tree.items():
            self.assertEqual(harness.of(report, name)["error"]["code"], "ledger")
            self.assertEqual(harness.tree(os.path.join(self.archives, name)), files)

    def test_another_name_for_the_same_organization(self):
        text = read(self.config).replace(b"name: org0001", b"name: renamed")
        write(self.config, text)
        report = self.sync(self.config, code=3)
        entry = harness.of(report, "renamed")
        self.assertEqual(entry["error"]["code"], "ledger")
        self.assertIn("is kept in org0001 already", entry["error"]["text"])
        self.assertIn("rename the directory org0001 to renamed", entry["error"]["hint"])
        self.assertEqual(harness.day_files(os.path.join(self.archives, "renamed"))
                         if os.path.isdir(os.path.join(self.archives, "renamed")) else [], [])
        # Doing what it says helps.
        shutil.rmtree(os.path.join(self.archives, "renamed"), ignore_errors=True)
        os.rename(self.archive, os.path.join(self.archives, "renamed"))
        self.sync(self.config)
        self.assertEqual(harness.difference(harness.archive_lines(os.path.join(self.archives, "renamed")),
                                            self.server.events_now("org0001")), "")


class Overwriting(harness.TestCase):
    """A day file that is damaged, and for which new events arrive."""

    def damaged(self, compression, damage):
        server = self.sandbox("--organizations", "2", "--events", "600", "--from", "2026-03-01T00:00:00Z",
                              "--to", "2026-03-06T00:00:00Z", "--no-limits")
        options = {"output": "compression: " + compression}
        self.sync(server.config(self.directory, "--backfill-start", "2026-03-03T12:00:00Z", **options))
        path = os.path.join(self.archives, "org0001", DAY + {"none": "", "gzip": ".gz"}[compression])
        whole = read(path)
        damage(path)
        spoiled = read(path) if os.path.exists(path) else None
        config = server.config(self.directory, "--backfill-start", "2026-03-01T00:00:00Z", **options)
        report = self.sync(config, code=3)
        error = harness.of(report, "org0001")["error"]
        self.assertEqual(error["code"], "damage")
        self.assertIn(os.path.basename(path), error["text"])
        self.assertIn("backup", error["hint"])
        self.assertEqual(read(path) if os.path.exists(path) else None, spoiled, "the damaged file was written to")
        self.assert_all_exact(server, ["org0002"])
        # Still there, run after run; with the file brought back the run completes.
        self.sync(config, code=3)
        write(path, whole)
        os.chmod(path, 0o600)
        self.sync(config)
        self.assert_all_exact(server, ["org0001", "org0002"])
        self.assert_code(harness.orgsync("verify", "-c", config), 0)

    def test_altered(self):
        self.damaged("none", lambda path: write(path, read(path).replace(b'"id":"', b'"id":"0', 1)))

    def test_truncated(self):
        self.damaged("none", lambda path: write(path, read(path)[:-200]))

    def test_truncated_gzip(self):
        self.damaged("gzip", lambda path: write(path, read(path)[:-20]))

    def test_missing(self):
        self.damaged("none", os.unlink)


class Gzip(Archives):
    compression = "gzip"

    def test_damaged(self):
        path = self.path(DAY + ".gz")
        data = read(path)
        for damaged in (data[:-10], data[:40], b"", data + b"more", data[:100] + bytes([data[100] ^ 8]) + data[101:]):
            write(path, damaged)
            self.one_finding(DAY + ".gz", ".")
        # Other bytes with the same content are the same file: sums are over what is in it.
        with gzip.open(path, "wb", compresslevel=1) as out:
            out.write(gzip.decompress(data))
        self.assertEqual(self.findings(code=0), [])


if __name__ == "__main__":
    harness.main()
