#!/usr/bin/env python3
"""Who answers: nobody, a name that is none, a server that cannot prove who it is, one that sends elsewhere, and one that
answers what was not asked yet. No credential goes anywhere but to the server that was meant."""

import json
import os
import shutil
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import fleet
import harness
import hostile
from hostile import Tenant

LIMITS = {"retries": 1, "backoff": "10ms", "outage_wait": "300ms"}


class Hosts(harness.TestCase):
    def server(self, tenants=(), **options):
        server = hostile.Server(tenants, **options)
        self.addCleanup(server.stop)
        return server

    def tenants(self, count):
        return [Tenant("org%d" % i) for i in range(count)]

    def run_sync(self, base_url, tenants, code, limits=None, atlas=""):
        config = hostile.write_config(self.directory, base_url, tenants, dict(LIMITS, **(limits or {})), atlas=atlas)
        done = harness.orgsync("sync", "--json", "-c", config, timeout_s=60)
        self.assert_code(done, code)
        for tenant in tenants:
            self.assertNotIn(tenant.secret, done.out + done.err)
        self.config = config
        return json.loads(done.out), done

    def all_fail(self, document, code, *words):
        for entry in document["organizations"]:
            self.assertEqual((entry["outcome"], entry["error"]["code"]), ("failed", code), entry)
            for word in words:
                self.assertIn(word, entry["error"]["text"] + " / " + entry["error"]["hint"])

    def exact(self, tenants):
        for tenant in tenants:
            lines = harness.archive_lines(os.path.join(self.archives, tenant.name))
            self.assertEqual(harness.difference(lines, tenant.lines()), "", tenant.name)
        self.assert_code(harness.orgsync("verify", "-c", self.config), 0)


class Nobody(Hosts):
    def free_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return taken.getsockname()[1]

    def test_connection_refused(self):
        """Two organizations use up their own retries; many find out together, at the price of a few questions."""
        for count, most in ((2, 2 * 2), (40, 8 + 8 + 8)):
            with self.subTest(count=count):
                tenants = self.tenants(count)
                document, done = self.run_sync("http://127.0.0.1:%d" % self.free_port(), tenants, 4, {"in_flight": 8})
                self.all_fail(document, "network", "no answer from 127.0.0.1:", "connection refused", "base_url")
                self.assertLessEqual(document["totals"]["requests"], most)
                self.assertLess(done.seconds, 10 * fleet.patience())
                # And when it is there the next run is exact.
                server = self.server(tenants)
                self.run_sync("http://127.0.0.1:%d" % server.port, tenants, 0)
                self.exact(tenants)

    def test_dns_failure(self):
        """A matter of the host: one question finds it out for all, soon."""
        tenants = self.tenants(60)
        document, done = self.run_sync("https://orgsync-test.invalid", tenants, 4, {"in_flight": 8, "retries": 5})
        self.all_fail(document, "network", "orgsync-test.invalid", "cannot be resolved", "base_url")
        self.assertLessEqual(document["totals"]["requests"], 8 + 8 + 8)
        self.assertLess(done.seconds, 20 * fleet.patience())
        self.assertEqual(done.err.count("the server answers nobody; the run ends"), 1)

    def test_dns_failure_of_one(self):
        document, done = self.run_sync("https://orgsync-test.invalid", self.tenants(1), 4)
        self.all_fail(document, "network", "cannot be resolved", "base_url")
        self.assertEqual(document["totals"]["requests"], 2)
        self.assertLess(done.seconds, 20 * fleet.patience())


@unittest.skipUnless(shutil.which("openssl"), "no openssl command")
class Tls(Hosts):
    def setUp(self):
        super().setUp()
        self.atlas = "  ca_file: %s\n" % hostile.authority(self.directory)

    def refused(self, context, *words, code="tls", requests=2):
        """Not a word of HTTP reaches a server that cannot prove who it is; and it is not asked again."""
        tenants = self.tenants(2)
        server = self.server(tenants, tls=context)
        document, done = self.run_sync("https://127.0.0.1:%d" % server.port, tenants, 4, atlas=self.atlas)
        self.all_fail(document, code, "127.0.0.1:%d" % server.port, "base_url", *words)
        self.assertEqual([tenant.asked + tenant.challenged for tenant in tenants], [0, 0])
        self.assertLessEqual(server.connections, requests)
        self.assertEqual(server.problems, [])
        self.assertLess(done.seconds, 10 * fleet.patience())
        self.assertEqual(fleet.listing(self.archives) - {"org0", "org1"}, {
            path for path in fleet.listing(self.archives) if path.startswith((".orgsync", "org0/", "org1/"))})
        for tenant in tenants:
            self.assertEqual(harness.day_files(os.path.join(self.archives, tenant.name)), [])

    def test_right_certificate(self):
        tenants = self.tenants(2)
        server = self.server(tenants, tls=hostile.certificate(self.directory, "right"))
        self.run_sync("https://127.0.0.1:%d" % server.port, tenants, 0, atlas=self.atlas)
        self.exact(tenants)

    def test_wrong_host(self):
        self.refused(hostile.certificate(self.directory, "wrong", "DNS:other.example"), "could not prove who it is")

    def test_expired(self):
        self.refused(hostile.certificate(self.directory, "old", end="20210101000000Z"), "could not prove who it is",
                     "expired", "clock")

    def test_not_yet_valid(self):
        self.refused(hostile.certificate(self.directory, "new", begin="20390101000000Z"), "could not prove who it is",
                     "not yet valid", "clock")

    def test_self_signed(self):
        self.refused(hostile.certificate(self.directory, "self", signed=False), "could not prove who it is",
                     "self-signed", "ca_file")

    def test_plain_text_to_a_tls_hello(self):
        def talk(connection):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.05)

        tenants = self.tenants(2)
        server = self.server(mute=talk)
        document, _ = self.run_sync("https://127.0.0.1:%d" % server.port, tenants, 4, atlas=self.atlas)
        self.all_fail(document, "network", "no TLS came about", "base_url", "https")
        self.assertEqual(server.connections, 2 * 2)

    def test_closed_in_the_handshake(self):
        tenants = self.tenants(2)
        server = self.server(mute=lambda connection: connection.recv(4096))
        document, _ = self.run_sync("https://127.0.0.1:%d" % server.port, tenants, 4, atlas=self.atlas)
        self.all_fail(document, "network", "127.0.0.1:%d" % server.port, "base_url")
        self.assertEqual(server.connections, 2 * 2)


class Elsewhere(Hosts):
    def test_redirects_lead_nowhere(self):
        """301, 302, 303, 307 and 308, in the ways a place can be named: nobody ever comes there."""
        other = self.server(mute=lambda connection: connection.recv(65536))
        places = ("http://127.0.0.1:%d/api/atlas/v2/orgs/x/events", "//127.0.0.1:%d/", "http://user:word@127.0.0.1:%d/",
                  "HTTP://LOCALHOST:%d/")
        # While these are asked and answered, the others' trouble is their own. It comes later than their first answers.
        tenants = [Tenant("healthy%d" % i, count=100, rows=3, latency=0.02) for i in range(3)]

        def fault_of(status, place):
            def fault(x):
                x.wait(0.1)
                fields = "Location: %s\r\nRefresh: 0; url=%s\r\n" % (place, place)
                return x.answer(b"", status=b"%d Elsewhere" % status, fields=fields.encode())
            return fault

        for status in (301, 302, 303, 307, 308):
            for i, place in enumerate(places):
                for early in (False, True):
                    tenants.append(Tenant("to%d-%d-%s" % (status, i, "early" if early else "late"),
                                          fault_of(status, place % other.port), early=early))
        server = self.server(tenants)
        document, _ = self.run_sync("http://127.0.0.1:%d" % server.port, tenants, 3, {"outage_wait": "1m"})
        for entry in document["organizations"]:
            if entry["name"].startswith("to"):
                self.assertEqual((entry["outcome"], entry["error"]["code"]), ("failed", "redirect"), entry)
                self.assertIn("never followed", entry["error"]["text"])
        self.assertEqual(other.connections, 0)
        self.assertEqual(server.problems, [])
        self.exact(tenants[:3])

    def test_links_lead_nowhere(self):
        """A next link and an event's own link name another host; pages are asked for by number and time alone."""
        other = self.server(mute=lambda connection: connection.recv(65536))

        def linked(x):
            rows, count = x.rows()
            more = int(x.query["pageNum"]) * 5 < count
            link = b'{"rel":"next","href":"http://127.0.0.1:%d/steal"}' % other.port
            return x.answer(b'{"links":[%s],"results":[%s],"totalCount":%d}' % (link if more else b"", b",".join(rows), count))

        tenants = [Tenant("org%d" % i, linked, count=60, rows=5) for i in range(3)]
        server = self.server(tenants)
        self.run_sync("http://127.0.0.1:%d" % server.port, tenants, 0)
        self.exact(tenants)
        self.assertEqual((other.connections, server.problems), (0, []))


class Smuggled(Hosts):
    """A second answer right behind the first, on a connection that the next organization would use."""

    def forged(self, x, victim):
        data = hostile.event(victim, 99, Tenant.FIRST + 7200)
        page = b'{"links":[],"results":[%s],"totalCount":1}' % data
        return x.head(len(page)) + page

    def fault(self, kind, victim):
        def behind_a_page(x):
            page = x.page()
            x.send(x.head(len(page)) + page + self.forged(x, victim) * 3)
            return True

        def behind_chunks(x):
            page = x.page()
            x.send(x.head(None, fields=b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(page), page) +
                   self.forged(x, victim) * 3)
            return True

        def behind_nothing(x):
            x.send(x.head(None, status=b"204 No Content") + self.forged(x, victim))
            return True

        def behind_not_modified(x):
            x.send(x.head(100, status=b"304 Not Modified") + self.forged(x, victim))
            return True

        def behind_both_lengths(x):
            page = x.page()
            x.send(x.head(len(page), fields=b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(page), page) +
                   self.forged(x, victim))
            return True

        def behind_an_error(x):
            x.send(x.head(2, status=b"503 Busy") + b"{}" + self.forged(x, victim))
            return True

        def behind_a_challenge(x):
            x.send(x.head(2, status=b"401 Unauthorized", fields=x.server.challenge()) + b"{}" + self.forged(x, victim))
            return True

        return locals()[kind]

    def test_an_answer_that_nobody_asked_for(self):
        kinds = ("behind_a_page", "behind_chunks", "behind_nothing", "behind_not_modified", "behind_both_lengths",
                 "behind_an_error", "behind_a_challenge")
        tenants = []
        for kind in kinds:
            # A worker with one request at a time takes them in this order, over one connection as long as it lasts.
            victim = Tenant("victim-of-" + kind)
            tenants.append(Tenant(kind, self.fault(kind, victim), times=1, early=kind == "behind_a_challenge"))
            tenants.append(victim)
        server = self.server(tenants)
        self.run_sync("http://127.0.0.1:%d" % server.port, tenants, 0, {"workers": 1, "in_flight": 1})
        self.assertGreater(server.reused, 0)
        for kind, tenant in zip(kinds, tenants[::2]):
            self.assertEqual(tenant.faults, 1, kind)
        self.assertEqual(server.problems, [])
        self.exact(tenants)

    def test_every_organization_with_its_own_key(self):
        """A connection serves many organizations, and each question on it carries its own organization's key."""
        tenants = [Tenant("org%d" % i, count=40, rows=4) for i in range(20)]
        server = self.server(tenants)
        self.run_sync("http://127.0.0.1:%d" % server.port, tenants, 0, {"workers": 2, "in_flight": 3})
        self.assertGreater(server.reused, 50)
        self.assertLessEqual(server.connections, 12)
        self.assertEqual(server.problems, [])
        self.exact(tenants)


if __name__ == "__main__":
    harness.main()
