#!/usr/bin/env python3
"""A test of the effect of each key of the configuration that sync goes by."""

import datetime
import http.client
import http.server
import json
import os
import re
import select
import shutil
import subprocess
import socket
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

DAYS = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-06T00:00:00Z"]


def iso(epoch_s):
    return datetime.datetime.fromtimestamp(epoch_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Proxy(http.server.BaseHTTPRequestHandler):
    """A forward proxy: whole URLs are fetched, CONNECT makes a tunnel. Keeps what it was asked for."""

    seen = []
    protocol_version = "HTTP/1.1"

    def forward(self):
        self.seen.append((self.command, self.path))
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = http.client.HTTPConnection(url.netloc)
        there.request(self.command, url.path + ("?" + url.query if url.query else ""), body,
                      {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")})
        answer = there.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        there.close()

    do_GET = do_POST = forward

    def do_CONNECT(self):
        self.seen.append((self.command, self.path))
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: there, there: self.connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    ends[end].sendall(data)

    def log_message(self, *_):
        pass


class Output(harness.TestCase):
    def test_compression_changes_at_any_time(self):
        kinds = ["none", "gzip", "none"]
        if shutil.which("zstd"):
            kinds.insert(2, "zstd")
        sandbox = self.sandbox("--organizations", "2", "--events", "2000", "--no-limits", *DAYS)
        names = ["org0001", "org0002"]
        for i, kind in enumerate(kinds):
            # Each run goes twelve hours further back: it touches a half day of the one before, and half a new one.
            begin = iso(epoch("2026-03-05T12:00:00Z") - 12 * 3600 * i)
            config = sandbox.config(self.directory, "--backfill-start", begin, output="compression: " + kind)
            self.sync(config)
            self.assert_all_exact(sandbox, names, begin=begin)
            self.assert_code(harness.orgsync("verify", "-c", config), 0)
            suffix = {"none": ".ndjson", "gzip": ".ndjson.gz", "zstd": ".ndjson.zst"}[kind]
            days = [os.path.basename(path) for path in harness.day_files(os.path.join(self.archives, "org0001"))]
            self.assertEqual(days[0], begin[:10] + suffix)
            self.assertEqual(len(days), len({day[:10] for day in days}), "one file a day: %s" % days)

    def test_the_usual_tools_read_it_after_every_merge(self):
        """zcat and zstdcat give, after each of six merges into the same days, just what the sandbox holds by then."""
        tools = [("gzip", ".gz", "zcat")] + ([("zstd", ".zst", "zstdcat")] if shutil.which("zstdcat") else [])
        for kind, suffix, tool in tools:
            sandbox = self.sandbox("--organizations", "2", "--events", "900", "--no-limits", "--from",
                                   "2026-03-01T00:00:00Z", "--to", "2026-03-03T12:00:00Z", "--now", "2026-03-01T06:00:00Z")
            directory = os.path.join(self.directory, kind)
            os.mkdir(directory)
            config = sandbox.config(directory, "--backfill-start", "2026-03-01T00:00:00Z", output="compression: " + kind)
            most = 0
            for _ in range(6):
                self.sync(config)
                sandbox.shift(13 * 3600)
                for name in ("org0001", "org0002"):
                    days = harness.day_files(os.path.join(directory, "archives", name))
                    self.assertTrue(all(path.endswith(".ndjson" + suffix) for path in days), days)
                    text = subprocess.run([tool] + days, stdout=subprocess.PIPE, check=True).stdout
                    lines = text.splitlines(keepends=True)
                    held = b"".join(line + b"\n" for line in sandbox.events_now(name)[:len(lines)])
                    self.assertEqual(text, held)
                    most = max(most, len(lines))
            self.assertEqual(most, 900)

    def test_directory(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "10", "--no-limits", *DAYS)
        config = sandbox.config(self.directory)
        self.edit(config, (r'directory: "[^"]*"', 'directory: "below/and/below"'))
        self.sync(config)
        self.assertEqual(len(harness.archive_lines(os.path.join(self.directory, "below/and/below/org0001"))), 10)


class Reading(harness.TestCase):
    def test_settle(self):
        sandbox = self.sandbox("--organizations", "3", "--events", "10", "--no-limits", *DAYS)
        config = sandbox.config(self.directory, more="defaults: { settle: 30m }\n", orgs={"org0002": "settle: 0s",
                                                                                          "org0003": "settle: 1d"})
        before = time.time()
        self.sync(config)
        for name, settle in (("org0001", 1800), ("org0002", 0), ("org0003", 86400)):
            covered = epoch(harness.ledger(os.path.join(self.archives, name))["covered"][-1]["to"])
            self.assertLess(abs(covered - (before - settle)), 30, name)

    def test_overlap_catches_what_appears_late(self):
        now = int(time.time())
        sandbox = self.sandbox("--organizations", "2", "--events", "500", "--live", "1", "--late", "0.3:1200",
                               "--from", iso(now - 90000), "--to", iso(now - 9000), "--now", iso(now - 7200), "--no-limits")
        config = sandbox.config(self.directory, more="defaults: { settle: 0s }\n",
                                orgs={"org0001": "overlap: 0s", "org0002": "overlap: 30m"})
        self.sync(config)
        cut = sandbox.stats()["now_ms"] // 1000 - 5
        begin = iso(cut - 1200)
        sandbox.shift(1500)
        self.sync(config)
        counts = {}
        for name in ("org0001", "org0002"):
            lines = [line for line in harness.archive_lines(os.path.join(self.archives, name))
                     if begin <= json.loads(line)["created"] < iso(cut)]
            counts[name] = (len(lines), len(sandbox.events_now(name, begin=begin, end=iso(cut))))
        self.assertLess(counts["org0001"][0], counts["org0001"][1])
        self.assertEqual(*counts["org0002"])

    def test_include_raw(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "300", "--no-limits", *DAYS)
        config = sandbox.config(self.directory, more="defaults: { include_raw: false }\n")
        self.sync(config)
        self.assert_all_exact(sandbox, ["org0001"], raw=False)
        # With raw the question is wider: all is read again; the first copy of an event stays.
        config = sandbox.config(self.directory)
        plan = json.loads(harness.orgsync("plan", "--json", "-c", config).out)
        self.assertIn("asked_narrower", [r["why"] for r in plan["organizations"][0]["ranges"]])
        rows = sandbox.counts("org0001")["rows"]
        report = self.sync(config)
        self.assertGreaterEqual(sandbox.counts("org0001")["rows"] - rows, 300)
        self.assertEqual((report["totals"]["events_new"], report["totals"]["events_changed"]), (0, 300))
        self.assert_all_exact(sandbox, ["org0001"], raw=False)
        # And back: what was asked was wide enough, so nothing is read again but what is always read.
        rows = sandbox.counts("org0001")["rows"]
        self.sync(sandbox.config(self.directory, more="defaults: { include_raw: false }\n"))
        self.assertEqual(sandbox.counts("org0001")["rows"], rows)

    def test_event_types(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "3000", "--no-limits", *DAYS)
        truth = sandbox.events_now("org0001")
        types = sorted({json.loads(line)["eventTypeName"] for line in truth})

        def some(count):
            config = sandbox.config(self.directory, orgs={"org0001": "event_types: [%s]" % ", ".join(types[:count])})
            rows = sandbox.counts("org0001")["rows"]
            self.sync(config)
            return sandbox.counts("org0001")["rows"] - rows

        def archive():
            return harness.archive_lines(os.path.join(self.archives, "org0001"))
        some(3)
        self.assertEqual(harness.difference(archive(), [e for e in truth if json.loads(e)["eventTypeName"] in types[:3]]), "")
        # Fewer types: covered already.
        self.assertEqual(some(2), 0)
        # More: everything of that question is read again.
        self.assertGreater(some(40), 0)
        self.assertEqual(harness.difference(archive(), [e for e in truth if json.loads(e)["eventTypeName"] in types[:40]]), "")
        self.sync(sandbox.config(self.directory))
        self.assertEqual(harness.difference(archive(), truth), "")


class Selecting(harness.TestCase):
    def test_which_are_run(self):
        sandbox = self.sandbox("--organizations", "5", "--events", "10", "--no-limits", *DAYS)
        config = sandbox.config(self.directory, orgs={
            "org0001": "tags: [prod, eu]", "org0002": "tags: [prod]", "org0003": "tags: [eu]",
            "org0004": "disabled: \"contract ended\"", "org0005": ""})
        for arguments, chosen in (
                (["--tag", "eu+prod"], [1]), (["--tag", "eu"], [1, 3]), (["--tag", "eu", "--tag", "prod"], [1, 2, 3]),
                (["ORG0002"], [2]), (["org000[35]"], [3, 5]), (["--exclude", "org0001"], [2, 3, 5]), ([], [1, 2, 3, 5])):
            before = sandbox.stats()["organizations"]
            done = harness.orgsync("sync", "-c", config, *arguments)
            self.assert_code(done, 0)
            self.assertIn("5 organizations read, 1 disabled, %d selected" % len(chosen), done.err)
            after = sandbox.stats()["organizations"]
            self.assertEqual([i for i in range(1, 6) if after["org%04d" % i]["requests"] > before["org%04d" % i]["requests"]],
                             chosen, arguments)
        self.assert_code(harness.orgsync("sync", "-c", config, "nobody"), 2)
        # A disabled one may not even have an archive.
        self.assertFalse(os.path.exists(os.path.join(self.archives, "org0004")))

    def test_include(self):
        sandbox = self.sandbox("--organizations", "4", "--events", "10", "--no-limits", *DAYS)
        config = sandbox.config(self.directory, more="include: [ orgs.d/*.yaml ]\n")
        with open(config, encoding="utf-8") as text:
            text = text.read()
        at = text.index("  - name: org0003")
        os.mkdir(os.path.join(self.directory, "orgs.d"))
        with open(os.path.join(self.directory, "orgs.d", "more.yaml"), "w", encoding="utf-8") as out:
            out.write("organizations:\n" + text[at:])
        with open(config, "w", encoding="utf-8") as out:
            out.write(text[:at])
        self.sync(config)
        self.assert_all_exact(sandbox, ["org%04d" % i for i in range(1, 5)])


class Pace(harness.TestCase):
    def order(self, config):
        """Organizations in the order of their answers."""
        done = harness.orgsync("sync", "-vv", "-c", config)
        self.assert_code(done, 0)
        return re.findall(r"level=debug org=(\S+) msg=\"page\" ", done.err), done

    def test_priority(self):
        sandbox = self.sandbox("--organizations", "8", "--events", "10", "--no-limits", "--latency", "300", *DAYS)
        priorities = {"org%04d" % i: p for i, p in enumerate((0, -5, 7, 7, 3, 1000, -1000, 1), 1)}
        config = sandbox.config(self.directory, more="limits: { workers: 1, in_flight: 1 }\n",
                                orgs={name: "priority: %d" % p for name, p in priorities.items()})
        order, _ = self.order(config)
        # The first one to be opened may go before the others are; from there on it is the order. Those of the
        # same priority go as they come.
        self.assertEqual(sorted(order), sorted(priorities))
        then = [priorities[name] for name in order[1:]]
        self.assertEqual(then, sorted(then, reverse=True), order)

    def test_in_flight_and_workers(self):
        for workers, in_flight, most in ((1, 1, 1), (2, 3, 3), (4, 12, 12)):
            with self.subTest(workers=workers, in_flight=in_flight):
                flying, peak = [0], [0]
                directory = os.path.join(self.directory, str(in_flight))
                os.mkdir(directory)
                sandbox = self.sandbox("--organizations", "12", "--events", "10", "--no-limits", "--credentials", "service-account",
                                       *DAYS)
                config = sandbox.config(directory, more="limits: { workers: %d, in_flight: %d }\n" % (workers, in_flight))

                class Counting(Proxy):
                    def forward(self):
                        flying[0] += 1
                        peak[0] = max(peak[0], flying[0])
                        time.sleep(0.05)   # the latency of the server
                        # Before the answer goes out, lest the next request overlaps with the end of this one.
                        flying[0] -= 1
                        super().forward()
                    do_GET = do_POST = forward
                self.edit(config, ("\noutput:", "\n  proxy: http://127.0.0.1:%d\noutput:" % self.serve(Counting)))
                self.sync(config)
                self.assertLessEqual(peak[0], most)
                self.assertGreaterEqual(peak[0], max(1, most // 2))

    def test_requests_per_minute_of_an_organization(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "8000", "--no-limits", *DAYS)
        config = sandbox.config(self.directory, orgs={"org0001": "requests_per_minute: 600"})
        report = self.sync(config)
        requests = sandbox.counts("org0001")["requests"]
        self.assertGreater(requests, 16)
        # Ten a second, evenly.
        self.assertGreater(harness.of(report, "org0001")["elapsed_ms"], (requests - 3) * 100 * 0.9)
        self.assertLess(harness.of(report, "org0001")["elapsed_ms"], requests * 100 + 3000)

    def test_requests_per_minute_of_all(self):
        sandbox = self.sandbox("--organizations", "6", "--events", "1000", "--no-limits", *DAYS)
        config = sandbox.config(self.directory, more="limits: { requests_per_minute: 900 }\n")
        report = self.sync(config)
        requests = report["totals"]["requests"]
        self.assertGreater(requests, 20)
        self.assertGreater(report["elapsed_ms"], (requests - 10) / 15 * 1000 * 0.9)

    def test_deadline(self):
        sandbox = self.sandbox("--organizations", "3", "--events", "9000", "--no-limits", "--latency", "150", *DAYS)
        names = ["org0001", "org0002", "org0003"]
        config = sandbox.config(self.directory, more="limits: { deadline: 1s }\n")
        done = harness.orgsync("sync", "-c", config)
        self.assert_code(done, 10)
        self.assertLess(done.seconds, 8)
        self.assertIn("not finished: deadline", done.out)
        report = harness.last_report(self.archives)
        self.assertGreater(report["totals"]["events_new"], 0)
        for name in names:
            self.assertEqual(harness.of(report, name)["outcome"], "deadline")
            covered = harness.ledger(os.path.join(self.archives, name))["covered"]
            # Newest first: what is there reaches from some second to the end without a hole.
            self.assertEqual([a["to"] for a in covered[:-1]], [b["from"] for b in covered[1:]])
            self.assert_all_exact(sandbox, [name], begin=covered[0]["from"])
        self.assert_code(harness.orgsync("verify", "-c", config), 0)
        self.sync(sandbox.config(self.directory))
        self.assert_all_exact(sandbox, names)

    def test_backfill_share(self):
        now = int(time.time())
        sandbox = self.sandbox("--organizations", "8", "--events", "5000", "--no-limits", "--latency", "20",
                               "--from", iso(now - 80000), "--to", iso(now - 4000), "--org", "every/2:from=2026-03-01T00:00:00Z",
                               "--org", "every/2:to=2026-03-06T00:00:00Z")
        rank = {}
        for share in (1, 100):
            shutil.rmtree(self.archives, ignore_errors=True)
            config = sandbox.config(self.directory, more="limits: { workers: 1, in_flight: 2, backfill_share: %d }\n" % share)
            order, _ = self.order(config)
            old = [i for i, name in enumerate(order) if int(name[3:]) % 2 == 0]
            rank[share] = sum(old) / len(old) / len(order)
        # Last where it may take nearly nothing, first where it may take all.
        self.assertGreater(rank[1], 0.6)
        self.assertLess(rank[100], 0.4)


class Network(harness.TestCase):
    def test_api(self):
        for api in ("v2", "v1.0", "public-v1.0"):
            with self.subTest(api=api):
                directory = os.path.join(self.directory, api)
                os.mkdir(directory)
                sandbox = self.sandbox("--organizations", "2", "--events", "700", "--no-limits", *DAYS)
                config = sandbox.config(directory, "--api", api)
                seen = []

                class Seeing(Proxy):
                    pass
                Seeing.seen = seen
                self.edit(config, ("\noutput:", "\n  proxy: http://127.0.0.1:%d\noutput:" % self.serve(Seeing)))
                self.sync(config)
                self.assert_all_exact(sandbox, ["org0001", "org0002"], archives=os.path.join(directory, "archives"))
                path = {"v2": "/api/atlas/v2/", "v1.0": "/api/atlas/v1.0/", "public-v1.0": "/api/public/v1.0/"}[api]
                # All of it through the proxy: as many requests as the sandbox counted.
                self.assertEqual(len(seen), sum(one["requests"] for one in sandbox.stats()["organizations"].values()))
                self.assertTrue(all(url.startswith(sandbox.url + path + "orgs/") for _, url in seen), seen)

    def test_a_proxy_that_is_not_there(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "5")
        config = sandbox.config(self.directory, more="limits: { deadline: 2s }\n")
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        self.edit(config, ("\noutput:", "\n  proxy: http://127.0.0.1:%d\noutput:" % port))
        self.sync(config, code=10)
        self.assertEqual(sandbox.counts("org0001")["requests"], 0)

    def test_tls_with_an_authority_of_ones_own(self):
        if shutil.which("openssl") is None:
            self.skipTest("needs the openssl program")
        cert, key = (os.path.join(self.directory, name) for name in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=sandbox", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                        "-out", cert], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        sandbox = self.sandbox("--organizations", "3", "--events", "900", "--credentials", "mixed", "--no-limits", *DAYS,
                               "--tls-cert", cert, "--tls-key", key)
        self.assertTrue(sandbox.url.startswith("https://"))
        config = sandbox.config(self.directory)
        with open(config, encoding="utf-8") as text:
            text = text.read()
        self.assertIn("ca_file: ", text)
        # Without the authority nothing is sent.
        stranger = os.path.join(self.directory, "stranger.yaml")
        with open(stranger, "w", encoding="utf-8") as out:
            out.write(re.sub(r"\n  ca_file: .*", "", text))
        report = self.sync(stranger, code=4)
        for entry in report["organizations"]:
            self.assertEqual(entry["error"]["code"], "tls")
            self.assertIn("ca_file", entry["error"]["hint"])
        self.sync(config)
        for name in ("org0001", "org0002", "org0003"):
            self.assert_exact(sandbox, name)
        # And through a proxy, which sees where to and no more.
        shutil.rmtree(self.archives)

        class Tunnel(Proxy):
            seen = []
        self.edit(config, ("\noutput:", "\n  proxy: http://127.0.0.1:%d\noutput:" % self.serve(Tunnel)))
        self.sync(config)
        for name in ("org0001", "org0002", "org0003"):
            self.assert_exact(sandbox, name)
        self.assertEqual({(command, path) for command, path in Tunnel.seen}, {("CONNECT", sandbox.url[len("https://"):])})

    def test_both_kinds_the_service_account_is_used(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "20", "--credentials", "both", "--no-limits", *DAYS)
        self.sync(sandbox.config(self.directory))
        one = sandbox.counts("org0001")
        self.assertEqual((one["tokens_minted"], one["challenges"]), (1, 0))


if __name__ == "__main__":
    harness.main()
