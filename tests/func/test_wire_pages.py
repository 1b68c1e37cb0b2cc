#!/usr/bin/env python3
"""Answers that arrive whole and are wrong in what they say: pages that are none, counts that lie, events that cannot be
filed or belong to somebody else. The rest of each history is exact all the same, and what cannot be filed is kept."""

import hashlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import fleet
import harness
from hostile import Tenant, epoch, event, stamp

DEEP = 100000
AT = epoch("2026-10-02T12:30:00Z")   # between two good events
PAGES, EVENTS = {}, {}


def page(function=None, once=True, **options):
    """Gives the fault two organizations: NAME, where it stays, and NAME_once, where it passes."""
    def add(function):
        PAGES[function.__name__] = (function, once, options)
        return function
    return add(function) if function else add


def body(name, text, **options):
    """A page that is always the same bytes."""
    PAGES[name] = (lambda x: x.answer(text, **options), True, {})


# ---- pages that are none

NO_PAGES = {
    "array": b"[]", "null": b"null", "number": b"17", "string": b'"events"', "empty_object": b"{}", "true": b"true",
    "results_null": b'{"results":null,"totalCount":0}', "results_object": b'{"results":{},"totalCount":0}',
    "results_number": b'{"results":[1,2],"totalCount":2}', "results_null_inside": b'{"results":[null],"totalCount":1}',
    "results_list_inside": b'{"results":[[]],"totalCount":1}', "results_twice": b'{"results":[],"results":[],"totalCount":0}',
    "count_twice": b'{"results":[],"totalCount":0,"totalCount":9}', "links_twice": b'{"links":[],"links":[],"results":[]}',
    "blanks": b" \r\n\t ", "bom": b'\xef\xbb\xbf{"results":[],"totalCount":0}', "nul": b'\0{"results":[],"totalCount":0}',
    "text_behind": b'{"results":[],"totalCount":0}{}', "comment": b'{"results":[/* none */]}',
    "single_quotes": b"{'results':[]}", "deep_array": b"[" * DEEP, "deep_object": b'{"a":' * DEEP,
    "deep_beside_results": b'{"more":' + b"[" * DEEP + b"]" * DEEP + b',"results":[],"totalCount":0}',
    "deep_inside_results": b'{"results":[' + b"[" * DEEP + b"]" * DEEP + b'],"totalCount":1}',
    "envelope": b'{"status":200,"content":{"results":[],"totalCount":0}}',
    "error_with_200": b'{"error":500,"errorCode":"UNEXPECTED_ERROR"}',
}
for _name, _text in NO_PAGES.items():
    body(_name, _text)
body("deep_error_body", b'{"errorCode":' + b"[" * DEEP + b"]" * DEEP + b"}", status=b"500 Internal Server Error")


# ---- pages that are some, with something odd beside the events

def beside(name, count=None, more=b"", **options):
    PAGES[name] = (lambda x: x.answer(x.page(count=count, more=more)), False, options)


beside("count_negative", b"-1")
beside("count_huge", b"9" * 40)
beside("count_large", b"1000000000000")
beside("count_text", b'"8"')
beside("count_null", b"null")
beside("count_real", b"8.0")
beside("count_object", b'{"a":1}')
beside("unknown_members", more=b',"x":{"results":[1]},"\\u0072esult":[],"\xff\xfe":"\xff"')
beside("next_that_is_always_there", more=b',"link":1')
PAGES["next_that_is_always_there"] = (lambda x: x.answer(x.page().replace(
    b'"links":[]', b'"links":[{"rel":"next","href":"https://login.invalid/steal"}]')), False, {})


# ---- clocks

def dated(name, line):
    """A page with another Date field, or none."""
    def fault(x):
        body = x.page()
        date = x.head(len(body)).split(b"\r\n")[1]
        assert date.startswith(b"Date: ")
        x.send(x.head(len(body)).replace(date + b"\r\n", line) + body)
        return True
    PAGES[name] = (fault, False, {})


CLOCKS = ("date_absent", "date_empty", "date_in_words", "date_number", "date_of_1970", "date_of_9999", "date_tomorrow",
          "date_twice")
dated("date_absent", b"")
dated("date_empty", b"Date:\r\n")
dated("date_in_words", b"Date: yesterday\r\n")
dated("date_number", b"Date: 1786331210\r\n")
dated("date_of_1970", b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")
dated("date_of_9999", b"Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n")
dated("date_tomorrow", time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(time.time() + 86400)).encode())
dated("date_twice", b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT\r\n")


# ---- events

def bad(name, **changes):
    """One event, between good ones, with these members; it has to be kept in quarantine."""
    EVENTS[name] = lambda tenant: event(tenant, 77, AT, **changes)


def bad_bytes(name, make):
    EVENTS[name] = make


def twice(name, value):
    """A member twice: at the end once more, with another value."""
    return lambda tenant: event(tenant, 77, AT)[:-1] + b',"%s":"%s"}' % (name, value)


NO_ID = ("id_absent", "id_number", "id_object", "id_empty", "id_of_10_kilobytes", "id_with_nul", "id_with_line_break",
         "id_with_escape_character", "id_with_half_a_surrogate")
bad("id_absent", id=None)
bad("id_number", id=12345)
bad("id_object", id={"$oid": "65f0c0ffee65f0c0ffee0001"})
bad("id_empty", id="")
bad("id_of_10_kilobytes", id="a" * 10240)
bad("id_with_nul", id="65f0\0c0ffee")
bad("id_with_line_break", id="65f0\nc0ffee")
bad("id_with_escape_character", id="\x1b[31m65f0")
bad("id_with_half_a_surrogate", id="65f0\ud800")

NO_CREATED = ("created_absent", "created_number", "created_null", "created_empty", "created_in_february_30",
              "created_without_zone", "created_without_time", "created_in_words", "created_year_0001", "created_at_25",
              "created_year_9999", "created_year_1999", "created_year_2100")
bad("created_absent", created=None)
bad("created_number", created=AT)
bad_bytes("created_null", lambda tenant: event(tenant, 77, AT).replace(b'"%s"' % stamp(AT).encode(), b"null"))
bad("created_empty", created="")
bad("created_in_february_30", created="2026-02-30T12:00:00Z")
bad("created_without_zone", created="2026-10-02T12:30:00")
bad("created_without_time", created="2026-10-02")
bad("created_in_words", created="Fri, 02 Oct 2026 12:30:00 GMT")
bad("created_at_25", created="2026-10-02T25:30:00Z")
bad("created_year_0001", created="0001-01-01T00:00:00Z")
bad("created_year_9999", created="9999-12-31T23:59:59Z")
bad("created_year_1999", created="1999-12-31T23:59:59Z")
bad("created_year_2100", created="2100-01-01T00:00:00Z")

TWICE = ("id_twice", "created_twice", "org_id_twice")
bad_bytes("id_twice", twice(b"id", b"65f0c0ffee65f0c0ffee0002"))
bad_bytes("created_twice", twice(b"created", b"2026-10-03T00:00:00Z"))
bad_bytes("org_id_twice", twice(b"orgId", b"65f0c0ffee65f0c0ffee0003"))
bad_bytes("utf_8_that_is_none", lambda tenant: event(tenant, 77, AT, note="X").replace(b"X", b"\xc3\x28"))

# Odd, and yet to be archived byte for byte: (bytes, the second it is filed under).
ODD = {
    "id_with_dots": lambda tenant: (event(tenant, 77, AT, id="../../../../tmp/orgsync-escape"), AT),
    "id_absolute": lambda tenant: (event(tenant, 77, AT, id="/tmp/orgsync-escape"), AT),
    "id_with_backslashes": lambda tenant: (event(tenant, 77, AT, id="..\\..\\escape"), AT),
    "id_of_spaces_and_percent": lambda tenant: (event(tenant, 77, AT, id="%2e%2e%2f \u00e9\u4e16"), AT),
    "id_of_256_bytes": lambda tenant: (event(tenant, 77, AT, id="b" * 256), AT),
    "leap_second": lambda tenant: (event(tenant, 77, AT, created="2026-10-02T12:30:60Z"), AT + 59),
    "offset": lambda tenant: (event(tenant, 77, AT, created="2026-10-02T14:30:00+02:00"), AT),
    "offset_over_midnight": lambda tenant: (event(tenant, 77, AT,
                                                  created="2026-10-02T00:30:00+02:00"), epoch("2026-10-01T22:30:00Z")),
    "fraction": lambda tenant: (event(tenant, 77, AT, created="2026-10-02T12:30:00.999999999Z"), AT),
    "same_key_same_value": lambda tenant: (event(tenant, 77, AT)[:-1] + b',"orgId":"%s"}' % tenant.org_id.encode(), AT),
    "unknown_key_twice": lambda tenant: (event(tenant, 77, AT, a=1)[:-1] + b',"a":2}', AT),
    "half_a_surrogate": lambda tenant: (event(tenant, 77, AT, note="\ud800"), AT),
    "org_id_absent": lambda tenant: (event(tenant, 77, AT, orgId=None), AT),
    "org_id_null": lambda tenant: (event(tenant, 77, AT)[:-1].replace(b'"orgId":"%s"' % tenant.org_id.encode(),
                                                                     b'"orgId":null') + b"}", AT),
    "far_future": lambda tenant: (event(tenant, 77, AT, created="2099-12-31T23:59:59Z"), epoch("2099-12-31T23:59:59Z")),
    "before_the_page": lambda tenant: (event(tenant, 77, AT, created="2026-10-01T00:00:01Z"), epoch("2026-10-01T00:00:01Z")),
}

FOREIGN = {
    "foreign": lambda tenant: event(tenant, 77, AT, orgId="65f0c0ffee65f0c0ffee0009"),
    "foreign_prefix": lambda tenant: event(tenant, 77, AT, orgId=tenant.org_id + "0"),
    "foreign_empty": lambda tenant: event(tenant, 77, AT, orgId=""),
    "foreign_number": lambda tenant: event(tenant, 77, AT, orgId=7),
    "foreign_escaped": lambda tenant: event(tenant, 77, AT, orgId="X").replace(b'"X"', b'"\\u0036\\u0035f0c0ffee65f0c0ffee0009"'),
    "foreign_without_id": lambda tenant: event(tenant, 77, AT, id=None, orgId="65f0c0ffee65f0c0ffee0009"),
}

# One second that no answer can be used with; the rest of the history can.
POISON = {
    "deep_event": lambda tenant: event(tenant, 77, AT, deep="X").replace(b'"X"', b"[" * DEEP + b"]" * DEEP),
    "deep_event_of_objects": lambda tenant: event(tenant, 77, AT, deep="X").replace(b'"X"', b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "event_cut_short": lambda tenant: event(tenant, 77, AT)[:-5],
    "event_with_control_character": lambda tenant: event(tenant, 77, AT, note="X").replace(b"X", b"\x01"),
}


def tenants():
    made = []
    for name, (function, once, options) in PAGES.items():
        made.append(Tenant(name, function, **options))
        if once:
            made.append(Tenant(name + "_once", function, times=1, **options))
        if len(made) % 10 == 0:
            made.append(Tenant("healthy%d" % len(made)))
    for table in (EVENTS, FOREIGN, POISON):
        for name, make in table.items():
            made.append(Tenant(name))
            made[-1].bad.append((AT, make(made[-1])))
    for name, make in ODD.items():
        made.append(Tenant(name))
        data, second = make(made[-1])
        made[-1].good.append((AT, data))
        made[-1].filed[data] = second
    return made


class Pages(fleet.Fleet):
    TENANTS = staticmethod(tenants)
    # Two gigabytes are another test's; here an answer is small, and a busy machine must not look like a silent one.
    LIMITS = dict(fleet.Fleet.LIMITS, silence_timeout="10000ms", answer_timeout="20000ms")

    def no_page(self, *names, words=("no page of events", "base_url")):
        """Three tries, and three of the control question; the reason of the last."""
        for name in names:
            with self.subTest(name=name):
                self.fails(name, "page", *words, requests=1 + 3 + 3 + 4, status=200)
                self.recovers(name + "_once", requests=1 + 1 + 1 + 4)

    def test_json_that_is_no_object(self):
        self.no_page("array", "null", "number", "string", "true", "blanks", words=("no JSON object", "base_url"))

    def test_objects_that_are_no_page(self):
        self.no_page("empty_object", "envelope", "error_with_200", words=("it has no results", "base_url"))

    def test_results_that_are_no_list_of_objects(self):
        self.no_page("results_null", "results_object", words=("results is no array",))
        self.no_page("results_number", "results_null_inside", "results_list_inside", words=("no object",))

    def test_keys_of_the_page_twice(self):
        self.no_page("results_twice", "count_twice", "links_twice", words=("stands twice",))

    def test_byte_order_mark_and_nul(self):
        self.no_page("bom", "nul", words=("no JSON object",))

    def test_json_that_is_not_sound(self):
        self.no_page("text_behind", words=("more text after its end",))
        self.no_page("comment", "single_quotes")

    def test_json_nested_100000_deep(self):
        self.no_page("deep_array", "deep_object", "deep_beside_results", "deep_inside_results")

    def test_error_body_nested_100000_deep(self):
        self.transient("deep_error_body", "server", "status 500", status=500)

    def exact(self, *names, requests=8):
        for name in names:
            with self.subTest(name=name):
                entry = self.entry(name)
                self.assertEqual((entry["outcome"], entry["error"], entry["quarantined"]), ("up_to_date", None, 0), entry)
                self.exact_now(name)
                self.assertLessEqual(self.asked[name], requests, entry)
                self.sound(name)
                self.exact_after(name)

    def test_counts_that_are_none(self):
        """A negative, huge, absent or textual totalCount says nothing; an empty next page is the end."""
        self.exact("count_negative", "count_huge", "count_text", "count_null", "count_real", "count_object")

    def test_count_that_is_far_too_large(self):
        self.exact("count_large", requests=12)

    def test_next_that_is_always_there_and_leads_elsewhere(self):
        """Its host is another one: nothing goes there (test_wire_hosts.py), and it has an end here."""
        self.exact("next_that_is_always_there", requests=16)

    def test_members_of_the_page_that_are_unknown(self):
        self.exact("unknown_members")

    def test_clocks_that_are_wrong(self):
        """Nothing is covered that has not happened, and nothing is final too soon, whatever the server's Date says."""
        self.exact(*CLOCKS)
        for name in CLOCKS:
            with self.subTest(name=name):
                covered, now = harness.ledger(os.path.join(self.shared, "archives", name))["covered"], int(time.time())
                self.assertEqual([a["to"] for a in covered[:-1]], [b["from"] for b in covered[1:]])
                for one in covered:
                    self.assertLess(now - 600, epoch(one["as_of"]))
                    self.assertLessEqual(epoch(one["as_of"]), now)
                self.assertLess(now - 600, epoch(covered[-1]["to"]))
                self.assertLess(epoch(covered[-1]["to"]), now - 100)

    # ---- events

    def quarantined(self, *names):
        for name in names:
            with self.subTest(name=name):
                tenant, entry = self.tenants[name], self.entry(name)
                self.assertEqual((entry["outcome"], entry["error"], entry["quarantined"], entry["reported"]),
                                 ("up_to_date", None, 1, True), entry)
                directory = os.path.join(self.shared, "archives", name, "quarantine")
                ((_, data),) = tenant.bad
                self.assertEqual(os.listdir(directory), [hashlib.sha256(data).hexdigest() + ".json"])
                with open(os.path.join(directory, os.listdir(directory)[0]), "rb") as kept:
                    self.assertEqual(kept.read(), data)
                self.exact_now(name)
                self.assertLessEqual(self.asked[name], 8)
                self.sound(name)
                self.exact_after(name)

    def test_ids_that_cannot_be_filed(self):
        self.quarantined(*NO_ID)

    def test_dates_that_cannot_be_filed(self):
        self.quarantined(*NO_CREATED)

    def test_keys_of_an_event_twice(self):
        self.quarantined(*TWICE)

    def test_bytes_that_are_no_utf_8(self):
        self.quarantined("utf_8_that_is_none")

    def test_every_bad_event_is_tested(self):
        self.assertEqual(sorted(NO_ID + NO_CREATED + TWICE + ("utf_8_that_is_none",)), sorted(EVENTS))

    def test_ids_that_look_like_paths(self):
        """Text, and nothing else; test_nothing_is_written_elsewhere looks at the whole tree."""
        self.exact("id_with_dots", "id_absolute", "id_with_backslashes", "id_of_spaces_and_percent", "id_of_256_bytes")
        self.assertFalse(os.path.exists("/tmp/orgsync-escape"))

    def test_dates_that_are_odd(self):
        self.exact("leap_second", "offset", "offset_over_midnight", "fraction", "before_the_page")

    def test_a_date_of_the_far_future(self):
        """Filed under what it shows; what is covered does not reach there."""
        self.exact("far_future")
        covered = harness.ledger(os.path.join(self.shared, "archives", "far_future"))["covered"]
        self.assertLess(covered[-1]["to"], "2099")

    def test_keys_twice_that_say_the_same(self):
        self.exact("same_key_same_value", "unknown_key_twice")

    def test_half_a_surrogate(self):
        self.exact("half_a_surrogate")

    def test_org_id_that_is_absent(self):
        self.exact("org_id_absent", "org_id_null")

    def test_events_of_another_organization(self):
        for name, make in FOREIGN.items():
            with self.subTest(name=name):
                entry, data = self.entry(name), make(self.tenants[name])
                self.assertEqual((entry["outcome"], entry["error"]["code"], entry["quarantined"]),
                                 ("failed", "foreign_event", 0), entry)
                self.assertIn("another organization", entry["error"]["text"])
                self.assertIn("org_id", entry["error"]["hint"])
                self.assertEqual(self.after_first[name], [])
                for directory, _, files in os.walk(os.path.join(self.shared, "archives", name)):
                    for file in files:
                        with open(os.path.join(directory, file), "rb") as kept:
                            self.assertNotIn(data, kept.read())
                self.assertLessEqual(self.asked[name], 2 + 4)
                self.sound(name)
                self.exact_after(name)

    def test_one_second_that_no_answer_can_be_used_with(self):
        """Narrowed down until it stands alone; all else is exact, and it is reported and not covered."""
        for name in POISON:
            with self.subTest(name=name):
                entry = self.entry(name)
                self.assertEqual((entry["outcome"], entry["reported"]), ("up_to_date", True), entry)
                self.assertIn(entry["lost_seconds"], (1, 2, 3))
                self.exact_now(name)
                self.assertLessEqual(self.asked[name], 150, entry)
                self.sound(name)
                holes = harness.of(self.verified, name)["findings"]
                self.assertTrue(any(hole["from"] <= stamp(AT) < hole["to"] for hole in holes), holes)
                covered = harness.ledger(os.path.join(self.shared, "archives", name))["covered"]
                self.assertTrue(any(a["from"] <= stamp(AT) < a["to"] for a in covered), covered) # the second run's
                self.exact_after(name)


if __name__ == "__main__":
    harness.main()
