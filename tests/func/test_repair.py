#!/usr/bin/env python3
"""verify --repair: what is damaged is set aside, just its seconds are forgotten, the next sync reads them again and
says which events of the damaged file the server no longer gave."""

import fcntl
import gzip
import hashlib
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


    def invented(self, second, number=1, day="2026-03-03"):
        """An event of the day that the server does not hold."""
        return json.dumps({"id": "%024x" % number, "created": "%sT%sZ" % (day, second), "eventTypeName": "INVENTED",
                           "orgId": harness.ledger(self.archive)["org_id"]}, separators=(",", ":")).encode()

    def kept(self, item, name):
        path = self.aside(item, name)
        return read(path).split(b"\n")[:-1] if os.path.exists(path) else []

    def result(self, item):
        return json.loads(read(self.aside(item, "result.json")))


class Files(Archives):
    def test_altered(self):
        lines = read(self.path(DAY)).split(b"\n")[:-1]
        spoiled = list(lines)
        spoiled[3] = re.sub(rb'"eventTypeName" ?: ?"', rb'\g<0>NOT_', lines[3])
        self.assertNotEqual(spoiled[3], lines[3])
        data = b"\n".join(spoiled) + b"\n"
        write(self.path(DAY), data)
        before = self.server.counts("org0001")["requests"]
        one = self.repair_file(DAY, moved_to="quarantine/damaged/2026-03-03.1/2026-03-03.ndjson", forgotten=SPAN,
                               read_again=SPAN, compared=True)
        self.assertEqual(read(self.path(one["moved_to"])), data)
        self.assertEqual(self.server.counts("org0001")["requests"], before, "repair asks nobody")
        # Nothing else was forgotten, and what was is a gap until the next sync.
        covered = harness.ledger(self.archive)["covered"]
        self.assertEqual((covered[0]["to"], covered[-1]["from"]), (SPAN["from"], SPAN["to"]))
        self.assertNotIn("2026-03-03", harness.ledger(self.archive)["days"])
        (hole,) = harness.of(self.verify(code=13), "org0001")["findings"]
        self.assertEqual((hole["path"], hole["from"], hole["to"]), (None, SPAN["from"], SPAN["to"]))
        entry = self.check_whole(altered=1)
        self.assertEqual(entry["events_new"], len(lines))
        self.assertEqual(read(self.path(DAY)).split(b"\n")[:-1], lines)
        self.assertEqual(self.kept("2026-03-03.1", "altered.ndjson"), [spoiled[3]])
        self.assertEqual(self.kept("2026-03-03.1", "missing.ndjson"), [])
        self.assertEqual(self.result("2026-03-03.1"),
                         {"file": "2026-03-03.ndjson", "readable": len(lines), "unreadable": 0,
                          "ledger_said": len(lines), "day_has_now": len(lines), "same": len(lines) - 1, "altered": 1,
                          "missing": 0, "gone_at_least": 0})
        self.assertEqual(read(self.path(one["moved_to"])), data, "the file set aside stays as it was")
        self.assert_all_exact(self.server, ["org0001", "org0002"])

    def test_events_that_the_server_no_longer_gives(self):
        """Said once, in every place; their very bytes are kept, and the archive does without them."""
        lines = read(self.path(DAY)).split(b"\n")[:-1]
        gone = [self.invented("00:00:00", 1), self.invented("12:00:00", 2), self.invented("23:59:59", 3)]
        write(self.path(DAY), b"\n".join([gone[0]] + lines[:5] + [gone[1]] + lines[5:] + [gone[2]]) + b"\n")
        self.repair_file(DAY, compared=True)
        done = harness.orgsync("sync", "-c", self.config)
        self.assert_code(done, 3)
        said = re.sub(r"\s+", " ", done.out)
        self.assertIn("3 events of a damaged file were not given by the server any more", said)
        self.assertIn("org0001/quarantine/damaged/", said)
        self.assertRegex(done.err, r'level=warn org=org0001 msg="a damaged file was compared .* not_given=3 altered=0 '
                                   r'kept_in="org0001/quarantine/damaged/2026-03-03.1"')
        entry = harness.of(harness.last_report(self.archives), "org0001")
        self.assertEqual((entry["events_gone"], entry["reported"], entry["outcome"]), (3, True, "up_to_date"))
        self.assertEqual(self.kept("2026-03-03.1", "missing.ndjson"), gone)
        self.assert_all_exact(self.server, ["org0001", "org0002"])
        self.check_whole()
        self.assertEqual(self.kept("2026-03-03.1", "missing.ndjson"), gone)
        # They are no events that could not be filed.
        status = json.loads(harness.orgsync("status", "--json", "-c", self.config).out)
        self.assertEqual(harness.of(status, "org0001")["quarantined"], 0)

    def test_lines_in_disorder(self):
        lines = read(self.path(DAY)).split(b"\n")[:-1]
        write(self.path(DAY), b"\n".join(reversed(lines)) + b"\n")
        self.repair_file(DAY, forgotten=SPAN)
        self.check_whole()
        self.assertEqual(self.result("2026-03-03.1")["same"], len(lines))

    def test_cut_off(self):
        data = read(self.path(DAY))
        lines = data.split(b"\n")[:-1]
        for number, length in enumerate((0, len(data) // 2, len(data) - 1), 1):
            write(self.path(DAY), data[:length])
            self.repair_file(DAY, moved_to="quarantine/damaged/2026-03-03.%d/2026-03-03.ndjson" % number)
            self.check_whole()
            result = self.result("2026-03-03.%d" % number)
            # The last line without its end is an event all the same.
            self.assertEqual(result["same"], [0, data[:length].count(b"\n"), len(lines)][number - 1])
            self.assertEqual((result["missing"], result["gone_at_least"], result["ledger_said"]), (0, 0, len(lines)))
            self.assertEqual(read(self.path(DAY)), data)

    def test_missing(self):
        data = read(self.path(DAY))
        os.unlink(self.path(DAY))
        self.repair_file(DAY, moved_to=None, forgotten=SPAN, read_again=SPAN, compared=True)
        self.check_whole()
        self.assertEqual(read(self.path(DAY)), data)

    def test_missing_and_the_server_has_less(self):
        """Without the file the ledger's count is what there is to compare."""
        document = harness.ledger(self.archive)
        document["days"]["2026-03-03"]["events"] += 7
        document["days"]["2026-03-03"]["bytes"] += 7
        harness.write_ledger(self.archive, document)
        os.unlink(self.path(DAY))
        self.repair_file(DAY, moved_to=None, compared=True)
        self.check_whole(gone=7)
        self.assertEqual(self.result("2026-03-03.1")["gone_at_least"], 7)

    def test_all_of_them(self):
        shutil.rmtree(self.path("events"))
        entry = self.repair()
        self.assertEqual(len(entry["repaired"]), 5)
        self.assertTrue(all(one["moved_to"] is None for one in entry["repaired"]))
        self.check_whole()
        self.assert_all_exact(self.server, ["org0001", "org0002"])

    def test_several_and_several_times(self):
        data = {day: read(self.path("events/2026/2026-03-0%d.ndjson" % day)) for day in (1, 3, 5)}
        for number in (1, 2, 3):
            for day in data:
                write(self.path("events/2026/2026-03-0%d.ndjson" % day), b"spoiled %d\n" % number)
            entry = self.repair()
            self.assertEqual([one["moved_to"] for one in entry["repaired"]],
                             ["quarantine/damaged/2026-03-0%d.%d/2026-03-0%d.ndjson" % (day, number, day)
                              for day in data])
            self.check_whole()
            for day, right in data.items():
                self.assertEqual(read(self.path("events/2026/2026-03-0%d.ndjson" % day)), right)
                self.assertEqual(read(self.aside("2026-03-0%d.%d" % (day, number), "2026-03-0%d.ndjson" % day)),
                                 b"spoiled %d\n" % number)

    def test_repaired_twice_before_a_sync(self):
        write(self.path(DAY), read(self.path(DAY)) + self.invented("23:59:59") + b"\n")
        self.repair_file(DAY)
        tree = harness.tree(self.archive)
        entry = self.repair()
        self.assertEqual((entry["repaired"], len(entry["findings"])), ([], 1))
        self.assertEqual(harness.tree(self.archive), tree)
        self.check_whole(gone=1)

    def test_a_link_or_a_directory_in_its_place(self):
        data = read(self.path(DAY))
        elsewhere = os.path.join(self.directory, "elsewhere")
        write(elsewhere, data)
        os.unlink(self.path(DAY))
        os.symlink(elsewhere, self.path(DAY))
        self.repair_file(DAY)
        self.assertEqual(os.readlink(self.aside("2026-03-03.1", "2026-03-03.ndjson")), elsewhere)
        self.check_whole()
        os.unlink(self.path(DAY))
        os.mkdir(self.path(DAY))
        write(os.path.join(self.path(DAY), "note"), b"mine")
        self.repair_file(DAY)
        self.assertEqual(read(self.aside("2026-03-03.2", "2026-03-03.ndjson", "note")), b"mine")
        self.check_whole()
        self.assertEqual((read(self.path(DAY)), read(elsewhere)), (data, data))

    def test_nothing_wrong(self):
        tree = harness.tree(self.archive)
        entry = self.repair(code=0)
        self.assertEqual((entry["findings"], entry["repaired"]), ([], []))
        self.assertEqual(harness.tree(self.archive), tree)
        self.assertFalse(os.path.exists(self.path("quarantine")))

    def test_what_is_printed(self):
        write(self.path(DAY), b"")
        done = harness.orgsync("verify", "--repair", "-c", self.config)
        self.assert_code(done, 13)
        said = re.sub(r"\s+", " ", done.out)
        for text in ("set aside: org0001/" + DAY, "to: org0001/quarantine/damaged/2026-03-03.1/2026-03-03.ndjson",
                     "the next sync reads again: 2026-03-03 00:00:00 – 2026-03-04 00:00:00",
                     "1 file set aside or forgotten: run sync, then verify again"):
            self.assertIn(text, said)
        for directory, _, files in os.walk(self.path("quarantine")):
            self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700, directory)
            for name in files:
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode), 0o600, name)


class Strays(Archives):
    def test_a_day_that_was_never_read(self):
        """Nothing to forget; compared only when its seconds are read one day."""
        line = self.invented("10:00:00", day="2026-02-20")
        write(self.path("events/2026/2026-02-20.ndjson"), line + b"\n")
        self.repair_file("events/2026/2026-02-20.ndjson", forgotten=None, read_again=None, compared=True,
                         moved_to="quarantine/damaged/2026-02-20.1/2026-02-20.ndjson")
        self.assert_code(harness.orgsync("sync", "-q", "-c", self.config), 0)
        self.assertEqual(len(harness.ledger(self.archive)["repairs"]), 1)
        self.verify()
        self.config = self.configure("2026-02-15T00:00:00Z")
        self.check_whole(gone=1)
        self.assertEqual(self.kept("2026-02-20.1", "missing.ndjson"), [line])

    def test_of_a_day_without_events(self):
        """The ledger covers the day and knows of no file: the day is read again."""
        self.config = self.configure("2026-02-15T00:00:00Z")
        self.sync(self.config)
        write(self.path("events/2026/2026-02-20.ndjson"), self.invented("10:00:00", day="2026-02-20") + b"\n")
        span = {"from": "2026-02-20T00:00:00Z", "to": "2026-02-21T00:00:00Z"}
        self.repair_file("events/2026/2026-02-20.ndjson", forgotten=span, read_again=span, compared=True)
        self.check_whole(gone=1)

    def test_a_second_file_of_a_day(self):
        """Beside a right one: only moved, and compared with it."""
        extra = self.invented("10:00:00")
        with gzip.open(self.path(DAY + ".gz"), "wb") as out:
            out.write(read(self.path(DAY)) + extra + b"\n")
        tree = harness.tree(self.path("events"))
        self.repair_file(DAY + ".gz", forgotten=None, read_again=None, compared=True)
        left = {name: entry for name, entry in tree.items() if not name.endswith(".gz")}
        self.assertEqual(harness.tree(self.path("events")), left)
        self.check_whole(gone=1)
        self.assertEqual(self.kept("2026-03-03.1", "missing.ndjson"), [extra])
        self.assertEqual(harness.tree(self.path("events")), left)

    def test_a_second_file_of_a_damaged_day(self):
        """Both go: none of them is what the ledger says."""
        data = read(self.path(DAY))
        with gzip.open(self.path(DAY + ".gz"), "wb") as out:
            out.write(data)
        write(self.path(DAY), data[:-5])
        entry = self.repair()
        self.assertEqual(sorted(one["path"] for one in entry["repaired"]), [DAY, DAY + ".gz"])
        self.assertEqual(len({one["moved_to"] for one in entry["repaired"]}), 2)
        self.check_whole()
        self.assertEqual(read(self.path(DAY)), data)

    def test_names_that_are_no_day(self):
        names = ["events/2026/notes.txt", "events/2026/2026-03-03.ndjson.tmp", "events/2026/2026-03-99.ndjson",
                 "events/2026/2025-03-03.ndjson", "events/old", "events/2026/we ird\n\u00e4"]
        for name in names:
            write(self.path(name), name.encode())
        with open(os.path.join(os.fsencode(self.archive), b"events/2026/\xff\xfe"), "wb") as out:
            out.write(b"no utf-8")
        ledger = read(self.path("ledger.json"))
        entry = self.repair()
        self.assertEqual(len(entry["repaired"]), len(names) + 1)
        self.assertTrue(all(one["forgotten"] is None and not one["compared"] for one in entry["repaired"]))
        self.assertEqual(read(self.path("ledger.json")), ledger)
        moved = {read(os.path.join(directory, name)) for directory, _, files in os.walk(self.aside()) for name in files}
        self.assertEqual(moved, {name.encode() for name in names} | {b"no utf-8"})
        self.verify()


class Staging(Archives):
    """A staging file that the ledger names, and that is damaged: what a killed run may leave."""

    def stage(self, lines, span):
        """Makes the archive as if its day's events had only been staged."""
        document = harness.ledger(self.archive)
        del document["days"]["2026-03-03"]
        os.unlink(self.path(DAY))
        data = b"\n".join(lines) + b"\n"
        os.makedirs(self.path(".staging"), mode=0o700, exist_ok=True)
        write(self.path(".staging/000009.ndjson"), data)
        document["staging"] = [{"file": "000009.ndjson", "bytes": len(data), "from": span["from"], "to": span["to"],
                                "sha256": hashlib.sha256(data).hexdigest()}]
        harness.write_ledger(self.archive, document)

    def test_sound_staging_is_merged(self):
        lines = read(self.path(DAY)).split(b"\n")[:-1]
        self.stage(lines, SPAN)
        entry = self.repair(code=0)
        self.assertEqual(entry["findings"], [])
        self.check_whole()
        self.assertEqual(read(self.path(DAY)).split(b"\n")[:-1], lines)

    def test_damaged(self):
        lines = read(self.path(DAY)).split(b"\n")[:-1]
        gone = self.invented("10:00:00")
        self.stage(lines + [gone], SPAN)
        data = read(self.path(".staging/000009.ndjson"))
        for damaged in (data.replace(lines[4], b"x" * len(lines[4])), data[:-10]):
            write(self.path(".staging/000009.ndjson"), damaged)
            report = self.sync(self.config, code=3)
            self.assertEqual(harness.of(report, "org0001")["error"]["code"], "damage")
            self.assertIn("verify --repair", harness.of(report, "org0001")["error"]["hint"])
        write(self.path(".staging/000009.ndjson"), data.replace(lines[4], b"x" * len(lines[4])))
        self.repair_file(".staging/000009.ndjson", forgotten=SPAN, read_again=SPAN, compared=True,
                         moved_to="quarantine/damaged/staging.1/000009.ndjson")
        self.check_whole(gone=1)
        self.assertEqual(self.result("staging.1")["unreadable"], 1)
        self.assertEqual(self.kept("staging.1", "missing.ndjson"), [gone])
        self.assertEqual(read(self.path(DAY)).split(b"\n")[:-1], lines)

    def test_missing(self):
        lines = read(self.path(DAY)).split(b"\n")[:-1]
        self.stage(lines, SPAN)
        os.unlink(self.path(".staging/000009.ndjson"))
        self.repair_file(".staging/000009.ndjson", forgotten=SPAN, moved_to=None, compared=True)
        self.check_whole()
        self.assertEqual(read(self.path(DAY)).split(b"\n")[:-1], lines)

    def test_beside_a_damaged_day(self):
        """The day's file and the staging for it: both are dealt with."""
        lines = read(self.path(DAY)).split(b"\n")[:-1]
        self.stage(lines, SPAN)
        other = self.path("events/2026/2026-03-04.ndjson")
        data = read(other)
        write(other, data[:-3])
        write(self.path(".staging/000009.ndjson"), b"x")
        entry = self.repair()
        self.assertEqual({one["path"] for one in entry["repaired"]},
                         {"events/2026/2026-03-04.ndjson", ".staging/000009.ndjson"})
        self.check_whole()
        self.assertEqual(read(other), data)
        self.assert_all_exact(self.server, ["org0001", "org0002"])


class Refused(Archives):
    def test_a_directory_that_others_may_write_to(self):
        """Nothing is moved on its account: it is put in order with chmod."""
        os.chmod(self.path("events/2026"), 0o777)
        tree = harness.tree(self.archive)
        entry = self.repair()
        self.assertIn("nothing was repaired", entry["error"]["text"])
        self.assertIn("events/2026", entry["error"]["hint"])
        self.assertEqual((entry["repaired"], harness.tree(self.archive)), ([], tree))
        os.chmod(self.path("events/2026"), 0o700)
        self.verify()

    def test_damaged_ledger(self):
        write(self.path(DAY), b"")
        text = read(self.path("ledger.json"))
        for damaged in (text[:-9], text.replace(b"2026-03-01", b"2026-02-01", 1), None):
            if damaged is None:
                os.unlink(self.path("ledger.json"))
            else:
                write(self.path("ledger.json"), damaged)
            tree = harness.tree(self.archive)
            entry = self.repair()
            self.assertEqual((entry["error"]["code"], entry["repaired"]), ("ledger", []))
            self.assertIn("backup", entry["error"]["hint"])
            self.assertEqual(harness.tree(self.archive), tree)
            self.assert_code(harness.orgsync("sync", "-q", "-c", self.config), 3)
            self.assertEqual(harness.tree(self.archive), tree)

    def test_locked(self):
        """The lock of a run that is at work keeps the repair out; no damage was found: exit 11."""
        write(self.path(DAY), b"")
        with open(self.path(".lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tree = harness.tree(self.archive)
            entry = self.repair(code=11)
            self.assertEqual((entry["error"]["code"], entry["repaired"]), ("locked", []))
            self.assertEqual(harness.tree(self.archive), tree)
            self.assertEqual(len(harness.of(self.verify(code=13), "org0001")["findings"]), 1)
        self.repair_file(DAY)
        self.check_whole()

    def test_what_the_configuration_does_not_ask_for(self):
        """It is said that it is not read again; with an earlier start it is."""
        self.config = self.configure("2026-03-03T12:00:00Z")
        write(self.path(DAY), b"")
        write(self.path("events/2026/2026-03-01.ndjson"), b"")
        entry = self.repair()
        early, late = entry["repaired"]
        self.assertEqual((early["forgotten"], early["read_again"]),
                         ({"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}, None))
        self.assertEqual((late["forgotten"], late["read_again"]),
                         (SPAN, {"from": "2026-03-03T12:00:00Z", "to": SPAN["to"]}))
        write(self.path("events/2026/2026-03-02.ndjson"), b"")
        done = harness.orgsync("verify", "--repair", "-c", self.config)
        self.assertIn("not read again: 2026-03-02 00:00:00 – 2026-03-03 00:00:00, which the configuration does not ask "
                      "for", re.sub(r"\s+", " ", done.out))
        self.sync(self.config)
        self.assertEqual(len(harness.ledger(self.archive)["repairs"]), 3)
        self.config = self.configure()
        self.check_whole()
        self.assert_all_exact(self.server, ["org0001", "org0002"])


class Gzip(Archives):
    compression = "gzip"

    def test_unreadable(self):
        path = self.path(DAY + ".gz")
        data = read(path)
        lines = gzip.decompress(data).split(b"\n")[:-1]
        for number, damaged in enumerate((data[:len(data) // 2], b"no gzip at all", b"", data + data[:9]), 1):
            write(path, damaged)
            self.repair_file(DAY + ".gz", forgotten=SPAN)
            self.check_whole()
            self.assertEqual(gzip.decompress(read(path)).split(b"\n")[:-1], lines)
            result = self.result("2026-03-03.%d" % number)
            self.assertEqual((result["ledger_said"], result["gone_at_least"]), (len(lines), 0))
            self.assertEqual(result["same"] > 0, number in (1, 4), result)

    def test_after_a_change_of_compression(self):
        write(self.path(DAY + ".gz"), b"no gzip at all")
        self.repair_file(DAY + ".gz")
        self.compression = "zstd"
        self.config = self.configure()
        self.check_whole()
        self.assertTrue(os.path.exists(self.path(DAY + ".zst")))
        self.assert_all_exact(self.server, ["org0001", "org0002"])


if __name__ == "__main__":
    harness.main()
