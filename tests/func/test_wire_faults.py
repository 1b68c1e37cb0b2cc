#!/usr/bin/env python3
"""What may go wrong with an answer's bytes on their way: each fault has its class and its words, ends in bounded time
and requests, writes nothing wrong and hurts nobody else. Where it passes the same run is exact, where it stays the
next one without it."""

import gzip
import os
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import fleet
import harness
from hostile import Tenant, stamp

FAULTS = {}


def fault(function=None, **options):
    """Gives the fault two organizations: NAME, where it stays, and NAME_once, where it passes."""
    def add(function):
        FAULTS[function.__name__] = (function, options)
        return function
    return add(function) if function else add


def tenants():
    made = []
    for name, (function, options) in FAULTS.items():
        made.append(Tenant(name, function, **options))
        made.append(Tenant(name + "_once", function, times=1, **options))
        if len(made) % 10 == 0:
            made.append(Tenant("healthy%d" % len(made)))
    return made


# ---- lengths

@fault
def truncated_body(x):
    body = x.page()
    x.send(x.head(len(body)) + body[:len(body) // 2])
    return x.close()


@fault
def truncated_chunks(x):
    body = x.page()
    x.send(x.head(None, fields=b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%s\r\n" % (len(body) - 9, body[:-9]))
    return x.close()


@fault
def length_too_large_and_closed(x):
    body = x.page()
    x.send(x.head(len(body) + 100) + body)
    return x.close()


@fault
def length_too_large_and_open(x):
    body = x.page()
    x.send(x.head(len(body) + 100) + body)
    x.hang()


@fault
def length_too_small(x):
    body = x.page()
    x.send(x.head(len(body) - 40) + body)
    return True


@fault
def length_once(x):
    body = x.page()
    x.send(x.head(len(body), fields=b"Content-Length: %d\r\n" % (len(body) - 40)) + body)
    return True


@fault
def length_that_is_no_number(x):
    x.send(x.head(None, fields=b"Content-Length: -5\r\n") + x.page())
    return x.close()


# ---- sizes

BOMB = gzip.compress(bytes(64 << 20), 9)
TWO_GB = 2 << 30


@fault
def gzip_bomb(x):
    return x.answer(BOMB, fields=b"Content-Encoding: gzip\r\n")


def endless(x, wrap):
    block = wrap(b" " * (1 << 20))
    for _ in range(TWO_GB >> 20):
        x.send(block)
    return x.close()


@fault
def two_gigabytes_announced(x):
    x.send(x.head(TWO_GB))
    return endless(x, lambda block: block)


@fault
def two_gigabytes_in_chunks(x):
    x.send(x.head(None, fields=b"Transfer-Encoding: chunked\r\n"))
    return endless(x, lambda block: b"%x\r\n%s\r\n" % (len(block), block))


@fault
def two_gigabytes_of_trailers(x):
    body = x.page()
    x.send(x.head(None, fields=b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%s\r\n0\r\n" % (len(body), body))
    return endless(x, lambda block: (b"X: " + b"y" * 1000 + b"\r\n") * 1000)


@fault(early=True)
def challenge_of_two_gigabytes(x):
    x.send(x.head(TWO_GB, status=b"401 Unauthorized", fields=x.server.challenge()))
    return endless(x, lambda block: block)


@fault
def gzip_of_nothing_for_ever(x):
    x.send(x.head(TWO_GB, fields=b"Content-Encoding: gzip\r\n") + b"\x1f\x8b\x08\0\0\0\0\0\0\x03")
    return endless(x, lambda block: b"\0\0\0\xff\xff" * (len(block) // 5))


# ---- headers

@fault
def headers_without_end(x):
    x.send(b"HTTP/1.1 200 OK\r\n")
    return endless(x, lambda block: b"".join(b"X-%d: y\r\n" % i for i in range(1000)))


@fault
def one_gigantic_header_line(x):
    x.send(b"HTTP/1.1 200 OK\r\nX-Y: ")
    return endless(x, lambda block: b"z" * len(block))


@fault
def flood_of_continues(x):
    return endless(x, lambda block: b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


@fault
def closed_among_the_headers(x):
    x.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    return x.close()


@fault
def no_http_at_all(x):
    x.send(b"220 mail.example ESMTP\r\n")
    return x.close()


@fault
def http_0_9(x):
    x.send(x.page())
    return x.close()


# ---- time

@fault
def hang_before_the_headers(x):
    x.hang()


@fault(early=True)
def hang_before_the_challenge(x):
    x.hang()


@fault
def hang_after_the_headers(x):
    x.send(x.head(len(x.page())))
    x.hang()


@fault
def hang_in_the_body(x):
    body = x.page()
    x.send(x.head(len(body)) + body[:-1])
    x.hang()


def trickle(x, data):
    for i in range(len(data)):
        x.send(data[i:i + 1])
        x.wait(0.05 * fleet.patience())
    return True


@fault
def trickle_of_the_body(x):
    body = x.page()
    x.send(x.head(len(body)))
    return trickle(x, body)


@fault
def trickle_of_the_headers(x):
    return trickle(x, x.head(2) + b"{}")


@fault
def closed_without_a_word(x):
    return x.close()


@fault
def reset_without_a_word(x):
    return x.reset()


# ---- encodings

@fault
def encoding_br(x):
    return x.answer(b"\x0b\x02\x80{}\n\x03", fields=b"Content-Encoding: br\r\n")


@fault
def encoding_deflate(x):
    return x.answer(zlib.compress(x.page()), fields=b"Content-Encoding: deflate\r\n")


@fault
def gzip_once(x):
    return x.answer(gzip.compress(gzip.compress(x.page())), fields=b"Content-Encoding: gzip, gzip\r\n")


@fault
def gzip_that_is_none(x):
    return x.answer(x.page(), fields=b"Content-Encoding: gzip\r\n")


@fault
def gzip_cut_short(x):
    return x.answer(gzip.compress(x.page())[:-12], fields=b"Content-Encoding: gzip\r\n")


@fault
def charset_utf_16(x):
    return x.answer(x.page().decode().encode("utf-16"), kind=b"application/json;charset=utf-16")


# ---- answers that are none of Atlas's

@fault
def web_page_with_200(x):
    return x.answer(b"<!doctype html><title>Sign in</title><form>", kind=b"text/html")


@fault
def empty_200(x):
    return x.answer(b"")


@fault
def status_204(x):
    return x.answer(b"", status=b"204 No Content")


@fault
def status_206(x):
    return x.answer(x.page(), status=b"206 Partial Content")


@fault
def status_502(x):
    return x.answer(b"<html>bad gateway</html>", status=b"502 Bad Gateway", kind=b"text/html")


@fault
def status_999(x):
    return x.answer(b"", status=b"999 Denied")


# ---- redirects (test_wire_hosts.py watches where they lead)

def redirect(x, status):
    return x.answer(b"", status=status + b" Elsewhere", fields=b"Location: https://login.invalid/?next=events\r\n")


@fault
def redirect_301(x):
    return redirect(x, b"301")


@fault
def redirect_302(x):
    return redirect(x, b"302")


@fault
def redirect_303(x):
    return redirect(x, b"303")


@fault
def redirect_307(x):
    return redirect(x, b"307")


@fault
def redirect_308(x):
    return redirect(x, b"308")


@fault
def redirect_to_the_same_host(x):
    return x.answer(b"", status=b"302 Found", fields=b"Location: %s&again=1\r\n" % x.target.encode())


@fault
def redirect_without_a_place(x):
    return x.answer(b"", status=b"302 Found")


# ---- a wire that is bad in many ways

def everything_at_once(x):
    """No two alike beside each other."""
    kinds = (truncated_body, status_502, reset_without_a_word, redirect_302, web_page_with_200, encoding_br, status_204)
    return kinds[(x.tenant.faults - 1) % len(kinds)](x)


class Lengths(fleet.Fleet):
    @staticmethod
    def TENANTS():
        return tenants() + [Tenant("seven_kinds", everything_at_once, times=7), Tenant("all_kinds", everything_at_once),
                            Tenant("http_1_0", http_1_0), Tenant("http_1_0_keep_alive", http_1_0_keep_alive)]

    def test_truncated_body(self):
        self.transient("truncated_body", "network", "broke off", status=200)

    def test_truncated_chunks(self):
        self.transient("truncated_chunks", "network", "broke off", status=200)

    def test_content_length_too_large(self):
        self.transient("length_too_large_and_closed", "network", "broke off", status=200)
        self.transient("length_too_large_and_open", "timeout", "nothing came for")

    def test_content_length_too_small(self):
        """What is over belongs to nobody's next answer."""
        self.transient("length_too_small", "page", "no page of events", "base_url")

    def test_content_length_once(self):
        self.transient("length_once", "page", "no page of events", "base_url")

    def test_content_length_that_is_no_number(self):
        self.transient("length_that_is_no_number", "network", "Content-Length")

    def few_bytes(self, name, cap=4 << 20):
        """Given up soon after the cap, each time: a try of each size, three of the largest, and the control question."""
        self.assertLess(self.sent[name], 12 * (cap + (8 << 20)), name)

    def test_gzip_bomb(self):
        self.assertLess(len(BOMB), 1 << 17)
        self.transient("gzip_bomb", "too_big", "larger than the", requests=12)

    def test_two_gigabytes(self):
        for name in ("two_gigabytes_announced", "two_gigabytes_in_chunks", "gzip_of_nothing_for_ever"):
            self.transient(name, "too_big", "larger than the", requests=12)
            self.few_bytes(name)

    def test_two_gigabytes_of_trailers(self):
        self.transient("two_gigabytes_of_trailers", "too_big", "header", requests=12)
        self.few_bytes("two_gigabytes_of_trailers")

    def test_challenge_of_two_gigabytes(self):
        self.transient("challenge_of_two_gigabytes", "too_big", "larger than the", requests=12)
        self.few_bytes("challenge_of_two_gigabytes")

    def test_headers_without_end(self):
        self.transient("headers_without_end", "too_big", "header")
        self.few_bytes("headers_without_end")

    def test_one_gigantic_header_line(self):
        self.transient("one_gigantic_header_line", "too_big", "header")
        self.few_bytes("one_gigantic_header_line")

    def test_flood_of_continues(self):
        self.transient("flood_of_continues", "too_big", "header")
        self.few_bytes("flood_of_continues")

    def test_closed_among_the_headers(self):
        self.transient("closed_among_the_headers", "network", "broke off")

    def test_no_http_at_all(self):
        self.transient("no_http_at_all", "network", "no answer")

    def test_http_0_9(self):
        self.transient("http_0_9", "network", "HTTP/0.9")

    def test_http_1_0(self):
        """The end of the connection is the end of the answer, and good enough."""
        for name in ("http_1_0", "http_1_0_keep_alive"):
            self.recovers(name, requests=4)

    def test_hang_before_the_headers(self):
        self.transient("hang_before_the_headers", "timeout", "nothing came for")
        self.transient("hang_before_the_challenge", "timeout", "nothing came for")

    def test_hang_after_the_headers(self):
        self.transient("hang_after_the_headers", "timeout", "nothing came for")

    def test_hang_in_the_body(self):
        self.transient("hang_in_the_body", "timeout", "nothing came for")

    def test_trickle(self):
        """Never silent for long enough; the time for the whole answer ends it."""
        self.transient("trickle_of_the_body", "timeout", "was not complete within")

    def test_trickle_of_the_headers(self):
        """No whole line for so long: the shorter limit, of silence, ends it."""
        self.transient("trickle_of_the_headers", "timeout", "nothing came for")

    def test_closed_or_reset_without_a_word(self):
        self.transient("closed_without_a_word", "network", "no answer", requests=12)
        self.transient("reset_without_a_word", "network", "no answer", requests=12)

    def test_encodings_not_asked_for(self):
        for name in ("encoding_br", "encoding_deflate", "gzip_once"):
            self.transient(name, "network", "an encoding that was not asked for", "proxy")

    def test_gzip_that_is_damaged(self):
        self.transient("gzip_that_is_none", "network", "damaged")
        # Whoever inflates it may notice, or leave it to whoever reads what came out of it.
        code = self.entry("gzip_cut_short")["error"]["code"]
        self.assertIn(code, ("network", "page"))
        self.transient("gzip_cut_short", code, "damaged" if code == "network" else "no page of events")

    def test_charset_not_asked_for(self):
        self.transient("charset_utf_16", "page", "no page of events", "base_url")

    def test_web_page_with_200(self):
        self.transient("web_page_with_200", "server", "web page", "login page", status=200)

    def test_empty_200(self):
        self.transient("empty_200", "page", "no page of events", "base_url")

    def test_204_and_other_odd_statuses(self):
        for name, status in (("status_204", 204), ("status_206", 206), ("status_999", 999)):
            self.transient(name, "server", "not Atlas's", "base_url", status=status)

    def test_502(self):
        self.transient("status_502", "server", "status 502", status=502)

    def test_redirects_that_pass(self):
        for number in (302, 303, 307):
            self.transient("redirect_%d" % number, "redirect", "login.invalid", "status %d" % number, "base_url",
                           status=number)
        self.transient("redirect_to_the_same_host", "redirect", "127.0.0.1", "never followed")
        self.transient("redirect_without_a_place", "redirect", "never followed")

    def test_redirects_that_stay(self):
        """They say so themselves: reported at once, and not asked again. But while the server answers nobody, what one
        answer says is not believed: on a slow machine it may come just then."""
        outage = "the server answers nobody" in self.first_done.err
        for number in (301, 308):
            for name in ("redirect_%d" % number, "redirect_%d_once" % number):
                if outage and name.endswith("_once") and self.entry(name)["outcome"] == "up_to_date":
                    self.recovers(name)
                    continue
                self.fails(name, "redirect", "login.invalid", "status %d" % number, "base_url", status=number)
                again = [line for line in self.first_done.err.split("\n") if "org=%s " % name in line and "redirects" in line]
                self.assertEqual(again, [])

    def test_kinds_that_differ(self):
        """One retry is for one kind of trouble; a wire that is bad in many ways is given more, and has an end."""
        self.recovers("seven_kinds", requests=1 + 7 + 1 + 4)
        entry = self.entry("all_kinds")
        self.assertEqual(entry["outcome"], "failed")
        self.assertLessEqual(self.asked["all_kinds"], 1 + 4 * 2 + 4)
        self.exact_after("all_kinds")


# In the middle of a history, of which some was read by then: (fault, error, its words, requests at most after it).
MIDWAY = (
    (truncated_body, "network", "broke off", 8), (length_too_small, "page", "no page of events", 60),
    (gzip_bomb, "too_big", "larger than the", 60),
    (headers_without_end, "too_big", "header", 8), (hang_in_the_body, "timeout", "nothing came for", 8),
    (trickle_of_the_body, "timeout", "was not complete within", 8), (reset_without_a_word, "network", "no answer", 12),
    (encoding_br, "network", "not asked for", 8), (web_page_with_200, "server", "web page", 8),
    (empty_200, "page", "no page of events", 60), (status_204, "server", "status 204", 8),
    (redirect_302, "redirect", "status 302", 8), (redirect_308, "redirect", "status 308", 8),
)


class Midway(fleet.Fleet):
    """The fault begins after four good answers: what these proved complete is kept, and nothing else is claimed."""

    GOOD = 4

    @staticmethod
    def TENANTS():
        return [Tenant("midway_%s%s" % (fault.__name__, "" if times is None else "_once"), fault, count=40, rows=3,
                       times=times, after=Midway.GOOD) for fault, _, _, _ in MIDWAY for times in (None, 1)]

    def claims_are_true(self, name):
        kept = set(self.after_first[name])
        self.assertLessEqual(kept, set(self.tenants[name].lines()), name)
        for second, data in self.tenants[name].good:
            if any(one["from"] <= stamp(second) < one["to"] for one in self.covered[name]):
                self.assertIn(data, kept, "%s claims a second that it does not hold: %s" % (name, stamp(second)))

    def test_what_was_read_is_kept(self):
        for fault, code, words, requests in MIDWAY:
            name = "midway_" + fault.__name__
            with self.subTest(name=name):
                kept = len(self.after_first[name])
                # Each page ends in the middle of nothing: one event a second, so all but the oldest row of it.
                self.assertGreaterEqual(kept, 2 * self.GOOD)
                self.assertLess(kept, 40)
                self.fails(name, code, words, requests=1 + self.GOOD + 1 + requests, kept=kept)
                self.assertEqual(self.after_first[name], self.tenants[name].lines()[-kept:], name)
                self.claims_are_true(name)
                if code == "redirect" and "308" in words:
                    self.fails(name + "_once", code, words, requests=1 + self.GOOD + 1 + requests, kept=kept)
                else:
                    self.recovers(name + "_once", requests=60)


def http_1_0(x):
    x.send(x.head(None).replace(b"HTTP/1.1", b"HTTP/1.0") + x.page())
    return x.close()


def http_1_0_keep_alive(x):
    body = x.page()
    x.send(x.head(len(body), fields=b"Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0") + body)
    return True


if __name__ == "__main__":
    harness.main()
