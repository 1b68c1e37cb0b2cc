#!/usr/bin/env python3
"""atlas-sandbox over real sockets: does it behave as the real API is known to, and does it send exactly
the events that --print names? Standard library only. ORGSYNC_TEST_SEED repeats a run."""
import base64
import concurrent.futures
import gzip
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

SANDBOX = os.path.join(os.environ.get("top_builddir", "."), "atlas-sandbox")
SEED = int(os.environ.get("ORGSYNC_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
RNG = random.Random(SEED)
V2 = "application/vnd.atlas.2023-01-01+json"
NOW = "2026-11-22T00:00:00Z"
BODY_401 = (b'{"error":401,"reason":"Unauthorized","detail":"You are not authorized for this resource.",'
            b'"errorCode":"UNEXPECTED_ERROR"}')


class Skip(Exception):
    pass


def run(*args, code=0):
    done = subprocess.run([SANDBOX, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == code, (args, done.returncode, done.stderr)
    return done.stdout


def parse_config(text):
    """The organizations of a printed configuration, by name; the rest under ''."""
    orgs, org = {}, {}
    orgs[""] = org
    for line in text.decode().splitlines():
        match = re.match(r"\s*(?:- )?([a-z_]+): (.+)$", line)
        if not match:
            continue
        key, value = match.groups()
        if key == "name":
            org = orgs[value] = {}
        org[key] = value[1:-1] if value.startswith('"') else value
    return orgs


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def json(self):
        return json.loads(self.body)

    def code(self):
        return self.json()["errorCode"]


class Sandbox:
    """A running server with the options given, and a digest client for each organization."""

    def __init__(self, *options, orgs=3, tls=None):
        self.options = ["--organizations", str(orgs), "--now", NOW, *map(str, options)]
        self.process = subprocess.Popen([SANDBOX, *self.options], stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"listening on (https?://127\.0\.0\.1:(\d+))\n", line)
        assert match, line
        self.url, self.port, self.tls = match.group(1), int(match.group(2)), tls
        self.config = parse_config(run(*self.options, "--print", "config", "--url", self.url))
        self.nonces, self.connection = {}, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, sig=signal.SIGTERM):
        if self.connection:
            self.connection.close()
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(timeout=20)
        self.last_line = self.process.stdout.read().decode()
        self.process.stdout.close()
        assert code == 0, code

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def send(self, method, path, headers=None, body=None):
        if self.connection is None:
            self.connection = self.connect()
        try:
            self.connection.request(method, path, body=body, headers=headers or {})
            response = self.connection.getresponse()
            return Answer(response, response.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def digest(self, org, path, nonce, count, secret=None, user=None, uri=None):
        config = self.config[org]
        user = user or config["public_key"]

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()
        ha1 = md5(f"{user}:MMS Public API:{secret or config['private_key']}")
        ha2 = md5(f"GET:{uri or path}")
        nc = f"{count:08x}"
        response = md5(f"{ha1}:{nonce}:{nc}:abc:auth:{ha2}")
        quoted = (uri or path).replace("\\", "\\\\").replace('"', '\\"')
        return (f'Digest username="{user}", realm="MMS Public API", nonce="{nonce}", uri="{quoted}", '
                f'cnonce="abc", nc={nc}, qop=auth, response="{response}", algorithm=MD5')

    def challenge(self, path):
        answer = self.send("GET", path, {"Accept": V2})
        assert answer.status == 401, answer.status
        return re.search(r'nonce="([0-9a-f]+)"', answer.headers["WWW-Authenticate"]).group(1)

    def get(self, org, path, accept=V2, headers=None):
        """A GET with the organization's key; the nonce is kept, and renewed when it is stale."""
        for _ in range(2):
            if org not in self.nonces:
                self.nonces[org] = [self.challenge(path), 0]
            self.nonces[org][1] += 1
            send = {"Authorization": self.digest(org, path, *self.nonces[org])}
            send.update(headers or {})
            if accept:
                send["Accept"] = accept
            answer = self.send("GET", path, send)
            if "stale=true" not in answer.headers.get("WWW-Authenticate", ""):
                break
            del self.nonces[org]
        return answer

    def path(self, org, prefix="/api/atlas/v2", **query):
        text = urllib.parse.urlencode(query, doseq=True)
        return f"{prefix}/orgs/{self.config[org]['org_id']}/events" + ("?" + text if text else "")

    def events(self, org, headers=None, **query):
        return self.get(org, self.path(org, **query), headers=headers)

    def admin(self, path, method="GET"):
        answer = self.send(method, "/_sandbox/" + path)
        assert answer.status == 200, answer.body
        return answer.body

    def shift(self, seconds):
        self.admin(f"shift?seconds={seconds}", "POST")

    def stats(self, org):
        return json.loads(self.admin("stats"))["organizations"][org]

    def token_request(self, org, form="grant_type=client_credentials", secret=None, path="token"):
        pair = f"{self.config[org]['client_id']}:{secret or self.config[org]['client_secret']}"
        return self.send("POST", "/api/oauth/" + path, {
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded"}, form)

    def bearer(self, token, path):
        return self.send("GET", path, {"Authorization": "Bearer " + token, "Accept": V2})


def instant(text):
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)


def iso(when):
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def strip_space(text):
    """JSON text without white space between tokens."""
    return re.sub(rb'("(?:[^"\\]|\\.)*")|\s+', lambda m: m.group(1) or b"", text)


def result_spans(body):
    """The bytes of each object of the results array."""
    text = body.decode("latin-1")
    at = text.index("[", text.index('"results"')) + 1
    spans, depth, start, in_string, i = [], 0, 0, False, at
    while True:
        c = text[i]
        if in_string:
            if c == "\\":
                i += 1
            elif c == '"':
                in_string = False
        elif c == '"':
            in_string = True
        elif c in "{[":
            start = i if depth == 0 else start
            depth += 1
        elif c in "}]":
            if depth == 0:
                return [s.encode("latin-1") for s in spans]
            depth -= 1
            if depth == 0:
                spans.append(text[start:i + 1])
        i += 1


def all_pages(sb, org, rows=500, **query):
    """Every row of a question, page by page, and the total the first page told."""
    got, page, total = [], 1, None
    while True:
        answer = sb.events(org, itemsPerPage=rows, pageNum=page, **query).json()
        total = answer["totalCount"] if total is None else total
        got += answer["results"]
        if not any(link["rel"] == "next" for link in answer["links"]):
            return got, total
        assert len(answer["results"]) == rows
        page += 1


# Who may ask ---------------------------------------------------------------------------------------

def test_challenge():
    with Sandbox() as sb:
        answer = sb.send("GET", sb.path("org0001"), {"Accept": V2})
        assert answer.status == 401 and answer.body == BODY_401
        assert re.fullmatch(r'Digest realm="MMS Public API", domain="", nonce="[0-9a-f]{32}", '
                            r'algorithm=MD5, qop="auth", stale=false', answer.headers["WWW-Authenticate"])
        assert sb.stats("org0001")["challenges"] == 1
        assert "Ratelimit-Remaining" not in answer.headers


def test_digest_of_urllib():
    with Sandbox() as sb:
        class Passwords(urllib.request.HTTPPasswordMgrWithDefaultRealm):
            def find_user_password(self, realm, uri):
                assert realm == "MMS Public API"
                return sb.config["org0002"]["public_key"], sb.config["org0002"]["private_key"]
        opener = urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(Passwords()))
        request = urllib.request.Request(sb.url + sb.path("org0002", itemsPerPage=7), headers={"Accept": V2})
        with opener.open(request) as answer:
            assert len(json.load(answer)["results"]) == 7


def test_digest_rules():
    with Sandbox("--nonce-life", 60) as sb:
        path = sb.path("org0001", itemsPerPage=1)
        nonce = sb.challenge(path)

        def ask(count, **wrong):
            used = wrong.pop("nonce", nonce)
            return sb.send("GET", path, {"Accept": V2,
                                         "Authorization": sb.digest("org0001", path, used, count, **wrong)})
        assert ask(1).status == 200
        assert ask(2).status == 200
        assert ask(2).status == 401, "a count that was used"
        assert ask(1).status == 401, "a count that goes back"
        assert ask(9).status == 200, "a count may skip"
        for wrong in ({"secret": "x"}, {"user": "nobodyxx"}, {"uri": path + "&"}, {"nonce": "0" * 32}):
            answer = ask(10, **wrong)
            assert answer.status == 401 and answer.body == BODY_401, wrong
            assert "stale=false" in answer.headers["WWW-Authenticate"], wrong
        assert ask(10).status == 200, "refused ones take no count"
        sb.shift(61)
        assert "stale=false" in ask(11, secret="x").headers["WWW-Authenticate"]
        answer = ask(11)
        assert answer.status == 401 and "stale=true" in answer.headers["WWW-Authenticate"]
        nonce = re.search(r'nonce="(\w+)"', answer.headers["WWW-Authenticate"]).group(1)
        assert ask(1, nonce=nonce).status == 200


def test_another_organization():
    with Sandbox() as sb:
        answer = sb.get("org0001", sb.path("org0002"))
        assert answer.status == 403 and answer.code() == "USER_CANNOT_ACCESS_ORG"
        assert sb.stats("org0002")["credential_violations"] == 1
        assert sb.stats("org0001")["credential_violations"] == 0
        for org_id, code in (("0" * 24, "ORG_NOT_FOUND"), ("xyz", "INVALID_ORG_ID")):
            answer = sb.get("org0001", f"/api/atlas/v2/orgs/{org_id}/events")
            assert answer.status == 404 and answer.code() == code
        answer = sb.get("org0001", f"/api/atlas/v2/orgs/{sb.config['org0001']['org_id']}")
        assert answer.json()["id"] == sb.config["org0001"]["org_id"]
        assert answer.json()["name"] == "org0001" and answer.json()["isDeleted"] is False
    assert re.fullmatch(r"requests \d+, with another organization's credential 1\n", sb.last_line), sb.last_line


def test_tokens():
    with Sandbox("--credentials", "service-account", "--token-life", 600) as sb:
        answer = sb.token_request("org0001")
        assert answer.status == 200 and answer.json()["expires_in"] == 600, answer.body
        assert answer.json()["token_type"] == "Bearer"
        token, path = answer.json()["access_token"], sb.path("org0001", itemsPerPage=1)
        assert sb.bearer(token, path).status == 200
        assert sb.bearer(token, path.replace("atlas/v2", "atlas/v1.0")).status == 200
        assert sb.bearer(token, path.replace("atlas/v2", "public/v1.0")).status == 401
        assert sb.bearer(token, sb.path("org0002")).status == 403
        assert sb.bearer(token[:-1] + ("0" if token[-1] != "0" else "1"), path).status == 401
        sb.shift(599)
        assert sb.bearer(token, path).status == 200
        sb.shift(2)
        assert sb.bearer(token, path).status == 401
        answer = sb.token_request("org0001", secret="mdb_sa_sk_wrong")
        assert answer.status == 401 and answer.json()["error"] == "invalid_client"
        assert sb.token_request("org0001", form="grant_type=password").status == 400
        token = sb.token_request("org0002").json()["access_token"]
        path = sb.path("org0002", itemsPerPage=1)
        assert sb.bearer(token, path).status == 200
        form = urllib.parse.urlencode({"token": token, "token_type_hint": "access_token"})
        assert sb.token_request("org0001", form=form, path="revoke").status == 200
        assert sb.bearer(token, path).status == 200, "only its own client revokes a token"
        assert sb.token_request("org0002", form=form, path="revoke").status == 200
        assert sb.bearer(token, path).status == 401
        assert sb.stats("org0002")["tokens_minted"] == 1
        token = sb.token_request("org0003").json()["access_token"]
    with Sandbox("--credentials", "service-account", "--token-life", 600) as sb:
        assert sb.bearer(token, sb.path("org0003")).status == 200, "kept tokens outlive a restart"
    with Sandbox("--credentials", "service-account", "--seed", 2) as sb:
        assert sb.bearer(token, sb.path("org0003")).status == 401


def test_token_limits():
    with Sandbox("--credentials", "service-account", "--token-life", 100000) as sb:
        for i in range(10):
            assert sb.token_request("org0001").status == 200
        answer = sb.token_request("org0001")
        assert answer.status == 429 and answer.code() == "RATE_LIMITED"
        assert answer.json()["parameters"] == ["/api/oauth/token", 10, 1]
        assert 1 <= int(answer.headers["Retry-After"]) <= 61
        assert sb.token_request("org0002").status == 200, "another client has its own limit"
        for _ in range(9):
            sb.shift(61)
            for _ in range(10):
                assert sb.token_request("org0001").status == 200
        sb.shift(61)
        answer = sb.token_request("org0001")
        assert answer.status == 403 and answer.json()["error"] == "access_denied"


def test_credential_kinds():
    with Sandbox("--credentials", "mixed") as sb:
        assert "client_id" not in sb.config["org0001"] and "public_key" in sb.config["org0001"]
        assert "client_id" in sb.config["org0002"] and "public_key" not in sb.config["org0002"]
        assert sb.token_request("org0002").status == 200
        assert sb.events("org0001").status == 200
    with Sandbox("--credentials", "both") as sb:
        assert sb.token_request("org0002").status == 200 and sb.events("org0002").status == 200


def test_refusals():
    expected = {"bad-key": (401, "UNEXPECTED_ERROR"), "access-list": (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"),
                "unknown": (404, "ORG_NOT_FOUND"), "suspended": (402, "ACCOUNT_SUSPENDED"),
                "role": (403, "USER_UNAUTHORIZED"), "role-401": (401, "USER_UNAUTHORIZED"),
                "inactive": (400, "INACTIVE_ORG"), "none": (200, None)}
    options = ["--credentials", "both"]
    for number, reason in enumerate(expected, 1):
        options += ["--org", f"{number}:refuse={reason}"]
    with Sandbox(*options, orgs=len(expected)) as sb:
        for number, (reason, (status, code)) in enumerate(expected.items(), 1):
            org = f"org{number:04}"
            answer = sb.events(org)
            assert answer.status == status, (reason, answer.status)
            assert code is None or answer.code() == code, (reason, answer.body)
            if reason == "access-list":
                assert answer.json()["parameters"] == ["127.0.0.1"]
            assert sb.token_request(org).status == (401 if reason == "bad-key" else 200)


# What is asked ---------------------------------------------------------------------------------------

def test_versions_and_paths():
    with Sandbox() as sb:
        path = sb.path("org0001", itemsPerPage=1)
        answer = sb.get("org0001", path)
        assert answer.headers["Content-Type"] == V2 + ";charset=utf-8"
        for accept in (None, "application/json", "*/*", "application/vnd.atlas.2022-01-01+json"):
            assert sb.get("org0001", path, accept=accept).status == 406, accept
        for prefix in ("/api/atlas/v1.0", "/api/public/v1.0"):
            answer = sb.get("org0001", sb.path("org0001", prefix, itemsPerPage=1), accept="application/json")
            assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
        for path in ("/", "/api/atlas/v2/orgs", "/api/atlas/v3/orgs/x/events", "/_sandbox/nothing"):
            assert sb.send("GET", path).status == 404, path
        assert sb.send("POST", sb.path("org0001"), body="x=1").status == 405
        assert sb.send("GET", "/api/oauth/token").status == 405


def test_bad_questions():
    bad = [("minDate=2026-01-02T00:00:00Z&maxDate=2026-01-01T00:00:00Z", "INVALID_DATE_RANGE"),
           ("minDate=yesterday", "INVALID_DATE_FORMAT"), ("maxDate=2026-01-01T00:00:00", "INVALID_DATE_FORMAT"),
           ("minDate=2026-01-01T00:00:00+00:00", "INVALID_DATE_FORMAT"),
           ("itemsPerPage=0", "INVALID_QUERY_PARAMETER"), ("itemsPerPage=501", "INVALID_QUERY_PARAMETER"),
           ("itemsPerPage=x", "INVALID_QUERY_PARAMETER"), ("pageNum=0", "INVALID_QUERY_PARAMETER"),
           ("pageNum=-1", "INVALID_QUERY_PARAMETER"), ("includeRaw=1", "INVALID_QUERY_PARAMETER"),
           ("sort=id", "INVALID_QUERY_PARAMETER"), ("eventType=no%20type", "INVALID_ENUM_VALUE"),
           ("minDate=%zz", "INVALID_QUERY_PARAMETER"), ("pageNum=%00", "INVALID_QUERY_PARAMETER"),
           ("pageNum=1%", "INVALID_QUERY_PARAMETER"), ("pageNum=1%3", "INVALID_QUERY_PARAMETER")]
    with Sandbox() as sb:
        for query, code in bad:
            answer = sb.get("org0001", sb.path("org0001") + "?" + query)
            assert answer.status == 400 and answer.code() == code, (query, answer.status, answer.body)
        for query in ("minDate=2026-01-01T00:00:00%2B00:00", "minDate=2026-01-01T00:00:00Z&maxDate=2026-01-01T00:00:00Z",
                      "itemsPerPage=500", "", "eventType=ORG_NAMED_OTHERWISE"):
            answer = sb.get("org0001", sb.path("org0001") + "?" + query)
            assert answer.status == 200, (query, answer.body)
        answer = sb.get("org0001", sb.path("org0001") + "?envelope=true&itemsPerPage=0")
        assert answer.status == 200 and answer.json()["status"] == 400
        assert answer.json()["content"]["errorCode"] == "INVALID_QUERY_PARAMETER"


def test_frame():
    with Sandbox("--events", 250) as sb:
        first = sb.events("org0001").json()
        assert list(first) == ["links", "results", "totalCount"]
        assert len(first["results"]) == 100 and first["totalCount"] == 250
        assert [link["rel"] for link in first["links"]] == ["self", "next"]
        third = sb.events("org0001", pageNum=3).json()
        assert len(third["results"]) == 50
        assert [link["rel"] for link in third["links"]] == ["self", "previous"]
        assert sb.events("org0001", pageNum=4).json()["results"] == []
        assert sb.events("org0001", pageNum=2000000000).json()["results"] == []
        follow = first["links"][1]["href"]
        assert follow.startswith(sb.url + "/")
        assert sb.get("org0001", follow[len(sb.url):]).json()["results"] == sb.events("org0001", pageNum=2).json()["results"]
        uncounted = sb.events("org0001", includeCount="false").json()
        assert uncounted["totalCount"] == 0 and len(uncounted["results"]) == 100
        assert [link["rel"] for link in uncounted["links"]] == ["self"]
        wrapped = sb.events("org0001", envelope="true").json()
        assert wrapped["status"] == 200 and wrapped["content"]["results"] == first["results"]


def test_event_shape():
    with Sandbox("--events", 2000) as sb:
        bare, raw = (result_spans(sb.events("org0001", itemsPerPage=500, includeRaw=flag).body)
                     for flag in ("false", "true"))
        assert 380 < sum(map(len, bare)) / 500 < 520, sum(map(len, bare)) / 500
        assert 850 < sum(map(len, raw)) / 500 < 1010, sum(map(len, raw)) / 500
        text = b"".join(raw)
        for odd in (b"0.10", b"1e2", b"\\u00e9", b"\\/", "Größe".encode(), b'"diffs"', b'"apiKeyId"',
                    b"groups/null/events/", b'"clientId"'):
            assert odd in text, odd
        for event in map(json.loads, raw):
            assert event["id"] != event["raw"]["id"] and event["orgId"] == sb.config["org0001"]["org_id"]
            assert int(event["id"][:8], 16) == instant(event["created"]).timestamp()
            assert event["isGlobalAdmin"] is False


# Exactness -------------------------------------------------------------------------------------------

def stored_time(event):
    return datetime.strptime(event["raw"]["cre"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def check_windows(sb, org, windows, moving_s=0):
    """Random questions return just the events of the whole set that lie between their bounds. Where events
    still appear meanwhile, no question reaches into the last moving_s seconds."""
    whole = [json.loads(line) for line in sb.admin(f"events/{org}").splitlines()]
    times = {event["id"]: stored_time(event) for event in whole}
    assert len(times) == len(whole)
    settled = max(times.values()) - timedelta(seconds=moving_s)
    starts = [event for event in whole if stored_time(event) <= settled]
    for _ in range(windows):
        start = RNG.choice(starts)
        low = stored_time(start) - timedelta(milliseconds=RNG.choice([0, 0, 1, 5000, 86400000]))
        high = low + timedelta(milliseconds=RNG.choice([0, 1, 999, 1000, 60000, 10 ** 8, 10 ** 10]))
        query = {}
        if moving_s:
            high = min(high, max(settled, low))
        if RNG.random() < 0.9:
            query["minDate"] = low.isoformat(timespec="milliseconds")
        if moving_s or RNG.random() < 0.9:
            query["maxDate"] = high.isoformat(timespec="milliseconds")
        want = {i for i, t in times.items()
                if ("minDate" not in query or t >= low) and ("maxDate" not in query or t <= high)}
        got, total = all_pages(sb, org, rows=RNG.choice([37, 100, 500]), **query)
        ids = [event["id"] for event in got]
        assert len(ids) == len(set(ids)) == total == len(want), (query, len(ids), len(set(ids)), total, len(want))
        assert set(ids) == want, query
        seconds = [event["created"][:19] for event in got]
        assert seconds == sorted(seconds, reverse=True)


def test_windows_are_exact():
    bursts = "burst=2026-03-01T00:00:00Z/700,burst=2026-02-28T23:59:59Z/300"
    with Sandbox("--events", "1500..2500", "--no-limits", "--org", "1:" + bursts,
                 "--org", "2:created=round,burst=2026-05-05T05:05:05Z/400", "--org", "3:created=ms," + bursts,
                 "--org", "4:created=us", "--org", "5:late=0.3:3000,to=2026-11-21T23:50:00Z,live=0.5",
                 "--org", "6:from=2026-06-01T00:00:00Z,to=2026-06-01T00:30:00Z", orgs=6) as sb:
        sb.shift(1200)
        for number in range(1, 7):
            check_windows(sb, f"org{number:04}", 12, moving_s=3600 if number == 5 else 0)


def test_created_forms():
    forms = {"cut": r"\d\dZ", "round": r"\d\dZ", "ms": r"\d\d\.\d{3}Z", "us": r"\d\d\.\d{6}Z"}
    options = [x for n, form in enumerate(forms, 1) for x in ("--org", f"{n}:created={form}")]
    with Sandbox("--events", 300, *options, orgs=4) as sb:
        for number, (form, pattern) in enumerate(forms.items(), 1):
            for event in sb.events(f"org{number:04}", itemsPerPage=500, includeRaw="true").json()["results"]:
                stored, shown = stored_time(event), event["created"]
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:" + pattern, shown), shown
                if form == "cut":
                    assert shown == iso(stored)
                elif form == "round":
                    assert shown == iso(stored + timedelta(milliseconds=500))
                else:
                    assert shown[:23] == event["raw"]["cre"][:23]


def test_very_bytes():
    """What a page holds, without white space between tokens, is what --print events prints."""
    with Sandbox("--events", 900, "--org", "2:json=compact", "--no-limits") as sb:
        for number in (1, 2):
            org = f"org{number:04}"
            for raw in ("true", "false"):
                printed = run(*sb.options, "--print", "events", number, "--raw", raw).splitlines()
                assert printed == sb.admin(f"events/{number}?raw={raw}").splitlines()
                assert len(printed) == 900
                order = [(json.loads(line)["created"], json.loads(line)["id"]) for line in printed]
                assert order == sorted(order)
                for pretty in ("true", "false"):
                    sent = []
                    for page in (1, 2):
                        body = sb.events(org, itemsPerPage=500, pageNum=page, includeRaw=raw, pretty=pretty).body
                        json.loads(body)
                        assert (b"\n" in body) == (pretty == "true")
                        spans = result_spans(body)
                        assert all((b'": ' in s) == (pretty == "true" or number == 1) for s in spans
                                   if b"note" not in s)
                        sent += map(strip_space, spans)
                    assert sorted(sent) == sorted(printed)


def test_print_between_and_ids():
    base = ["--organizations", 2, "--events", 500, "--now", NOW]
    events = [json.loads(x) for x in run(*base, "--print", "events", "org0002").splitlines()]
    assert [e["id"] for e in events] == run(*base, "--print", "ids", 2).decode().split()
    low, high = sorted(RNG.sample([e["created"] for e in events], 2))
    want = [e["id"] for e in events if low <= e["created"] < high]
    assert run(*base, "--print", "ids", 2, "--between", low, high).decode().split() == want
    assert run(*base, "--between", f"{low}..{high}", "--print", "ids", "org0002").decode().split() == want
    past = [*base[:-1], low]
    assert run(*past, "--print", "ids", 2).decode().split() == [
        e["id"] for e in events if stored_time(e) <= instant(low)]


def test_event_types():
    with Sandbox("--events", 3000, "--no-limits") as sb:
        whole = [json.loads(x) for x in sb.admin("events/1").splitlines()]
        for types in (["TEAM_CREATED"], ["TEAM_CREATED", "JOINED_ORG"], ["USER_ADDED_TO_NOTHING"]):
            got, total = all_pages(sb, "org0001", rows=50, eventType=types)
            want = {e["id"] for e in whole if e["eventTypeName"] in types}
            assert {e["id"] for e in got} == want and total == len(want) == len(got)


def test_big_second():
    burst = "burst=2026-10-10T10:10:10Z/1700"
    with Sandbox("--events", 100, "--no-limits", "--org", "1:" + burst, "--org", "2:order=changing," + burst) as sb:
        def passes(org):
            return [[e["id"] for p in (1, 2, 3, 4) for e in sb.events(
                org, itemsPerPage=500, pageNum=p, minDate="2026-10-10T10:10:10Z",
                maxDate="2026-10-10T10:10:11Z").json()["results"]] for _ in range(2)]
        one, two = passes("org0001")
        assert one == two and len(set(one)) == len(one) == 1700
        assert one != sorted(one) and one != sorted(one, reverse=True)
        one, two = passes("org0002")
        assert one != two and len(one) == len(two) == 1700
        assert len(set(one)) < 1700, "pages of one second overlap when the order changes"
        ids = set(run(*sb.options, "--print", "ids", 2).decode().split())
        assert set(one) | set(two) < ids


def test_silent_cap_and_wrong_count():
    with Sandbox("--events", 1000, "--org", "1:silent-cap=30", "--org", "2:count=wrong", "--no-limits") as sb:
        page = sb.events("org0001", itemsPerPage=500).json()
        assert len(page["results"]) == 30 and page["totalCount"] == 1000
        ids = [e["id"] for p in range(1, 35) for e in sb.events("org0001", itemsPerPage=500, pageNum=p).json()["results"]]
        assert len(ids) == len(set(ids)) == 1000
        counts = {sb.events("org0002").json()["totalCount"] for _ in range(40)}
        assert len(counts) > 2 and all(abs(c - 1000) <= 3 for c in counts), counts


def test_event_bytes():
    with Sandbox("--events", 300, "--org", "2:event-bytes=200000") as sb:
        small, large = (sb.events("org000%d" % i, itemsPerPage=300).json()["results"] for i in (1, 2))
        assert len(small) == len(large) == 300 and not any("padding" in event for event in small)
        assert all(event["padding"] == "x" * 200000 for event in large)
        printed = run(*sb.options, "--print", "events", 2).split(b"\n")[:-1]
        assert len(printed) == 300 and all(len(line) > 200000 for line in printed)
        for event in large:
            del event["padding"]
        assert set(large[0]) <= {key for event in small for key in event} | {"apiKeyId", "publicKey"}
    run("--organizations", 1, "--event-bytes", 16777217, "--print", "ids", 1, code=2)


def test_late_and_live():
    options = ["--events", 1000, "--org", "1:late=0.25:300", "--from", "2026-11-21T23:00:00Z", "--to", NOW,
               "--org", "2:live=2", "--no-limits"]
    with Sandbox(*options) as sb:
        def ids(org):
            return {e["id"] for e in all_pages(sb, org)[0]}
        before = ids("org0001")
        assert before == set(sb.admin("ids/1").decode().split())
        sb.shift(400)
        after = ids("org0001")
        assert before < after and len(after) == 1000
        assert 5 < len(after - before) < 60, "a quarter of the last five minutes' 83"
        live = ids("org0002")
        assert 700 < len(live) - 1000 <= 830
        sb.shift(60)
        more = ids("org0002")
        assert live < more and 100 <= len(more - live) <= 140
        times = run(*sb.options, "--now", "2026-11-22T00:08:00Z", "--print", "ids", 2).decode().split()
        assert more <= set(times)


def test_poison():
    kinds = ["foreign", "no-id", "no-created", "odd-date", "bad-utf8", "duplicate-keys", "path-id"]
    options = [x for n, kind in enumerate(kinds, 1)
               for x in ("--org", f"{n}:poison={kind}@2026-07-07T07:07:07Z")]
    query = {"minDate": "2026-07-07T07:07:07Z", "maxDate": "2026-07-07T07:07:08Z"}
    with Sandbox("--events", 50, *options, orgs=len(kinds)) as sb:
        for number, kind in enumerate(kinds, 1):
            org, org_id = f"org{number:04}", sb.config[f"org{number:04}"]["org_id"]
            body = sb.events(org, **query).body
            (span,) = result_spans(body)
            event = json.loads(span.decode("utf-8", "replace"))
            listed = sb.admin(f"ids/{number}").decode().split()
            poison = sb.admin(f"poison/{number}").splitlines()
            if kind == "path-id":
                assert event["id"].startswith("../") and event["id"] in listed
                assert len(listed) == 51 and poison == []
                continue
            assert len(listed) == 50 and poison == [kind.encode() + b" " + strip_space(
                result_spans(sb.events(org, includeRaw="true", **query).body)[0])]
            assert (event["orgId"] != org_id) == (kind == "foreign")
            assert ("id" not in event) == (kind == "no-id")
            assert ("created" not in event) == (kind == "no-created")
            assert (event.get("created", "")[:4] == "9999") == (kind == "odd-date")
            assert (span.count(b'"id": "') == 2) == (kind == "duplicate-keys")
            try:
                span.decode()
                assert kind != "bad-utf8"
            except UnicodeDecodeError:
                assert kind == "bad-utf8"


def test_malformed_second():
    with Sandbox("--events", 100, "--org", "1:malformed=2026-07-07T07:07:07Z") as sb:
        for query, sound in (({"minDate": "2026-07-07T07:07:09Z"}, True), ({"maxDate": "2026-07-07T07:07:06Z"}, True),
                             ({"minDate": "2026-07-07T07:07:07Z", "maxDate": "2026-07-07T07:07:08Z"}, False),
                             ({"itemsPerPage": 500}, False)):
            answer = sb.events("org0001", **query)
            assert answer.status == 200
            try:
                answer.json()
                assert sound, query
            except json.JSONDecodeError:
                assert not sound, query


# Limits, faults, time --------------------------------------------------------------------------------

def test_buckets():
    with Sandbox("--capacity", 5, "--refill", 2, "--period", 10) as sb:
        for left in (4, 3, 2, 1, 0):
            answer = sb.events("org0001", itemsPerPage=1)
            assert answer.status == 200
            assert answer.headers["Ratelimit-Limit"] == "5" and answer.headers["Ratelimit-Remaining"] == str(left)
        answer = sb.events("org0001", itemsPerPage=1)
        assert answer.status == 429 and answer.code() == "RATE_LIMITED_TOKEN_BUCKET"
        wait = int(answer.headers["Retry-After"])
        assert 4 <= wait <= 6 and answer.json()["parameters"] == ["api/atlas/v2/orgs", wait, 5, 2, 10]
        assert answer.json()["reason"] == "Too Many Requests"
        assert sb.events("org0002", itemsPerPage=1).status == 200, "a bucket for each organization"
        assert sb.get("org0001", f"/api/atlas/v2/orgs/{sb.config['org0001']['org_id']}").status == 200
        sb.shift(wait)
        assert sb.events("org0001", itemsPerPage=1).status == 200
        assert sb.events("org0001", itemsPerPage=1).status == 429
        sb.shift(1000)
        assert sb.events("org0001", itemsPerPage=1).headers["Ratelimit-Remaining"] == "4"
        assert sb.stats("org0001")["limited"] == 2
    with Sandbox("--capacity", 1, "--no-limit-headers") as sb:
        assert sb.events("org0001").status == 200
        answer = sb.events("org0001")
        assert answer.status == 429 and "Retry-After" not in answer.headers
        assert not any(h.lower().startswith("ratelimit") for h in answer.headers)
    with Sandbox("--capacity", 1, "--no-limits") as sb:
        assert all(sb.events("org0001", itemsPerPage=1).status == 200 for _ in range(20))
    with Sandbox("--capacity", 1, "--refill", 1, "--period", 60, "--time-scale", 1000) as sb:
        assert sb.events("org0001", itemsPerPage=1).status == 200
        deadline = time.monotonic() + 5
        while sb.events("org0001", itemsPerPage=1).status != 200:
            assert time.monotonic() < deadline


def test_faults():
    with Sandbox("--fault", "429:1") as sb:
        answer = sb.events("org0001")
        assert answer.status == 429 and answer.code() == "RATE_LIMITED_TOKEN_BUCKET"
    with Sandbox("--fault", "500:1") as sb:
        answer = sb.events("org0001")
        assert answer.status == 500 and answer.code() == "UNEXPECTED_ERROR"
    with Sandbox("--fault", "503:1") as sb:
        answer = sb.events("org0001")
        assert answer.status == 503 and answer.body.startswith(b"<html>")
    with Sandbox("--fault", "stale:1", "--credentials", "both") as sb:
        answer = sb.events("org0001")
        assert answer.status == 401 and "stale=true" in answer.headers["WWW-Authenticate"]
        token = sb.token_request("org0001").json()["access_token"]
        assert sb.bearer(token, sb.path("org0001")).status == 200, "a token has no nonce"
    with Sandbox("--fault", "malformed:1") as sb:
        for _ in range(30):
            answer = sb.events("org0001")
            assert answer.status == 200
            try:
                json.loads(answer.body)
                raise AssertionError("this is JSON")
            except ValueError:
                pass
    with Sandbox("--fault", "redirect:1") as sb:
        answer = sb.events("org0001")
        assert answer.status == 302 and answer.headers["Location"] == sb.url + "/_sandbox/elsewhere"
        assert json.loads(sb.admin("stats"))["redirects_followed"] == 0
        assert sb.send("GET", "/_sandbox/elsewhere").status == 200
        assert json.loads(sb.admin("stats"))["redirects_followed"] == 1


def test_broken_connections():
    with Sandbox("--org", "1:fault=reset:1", "--org", "2:fault=truncate:1", "--org", "3:fault=hang:1",
                 "--time-scale", 1000) as sb:
        for org, error in (("org0001", ConnectionResetError), ("org0002", http.client.IncompleteRead),
                           ("org0003", (http.client.RemoteDisconnected, ConnectionResetError))):
            began = time.monotonic()
            try:
                sb.events(org)
                raise AssertionError(f"{org} got an answer")
            except error:
                pass
            assert org != "org0003" or time.monotonic() - began >= 0.29


def test_gateways_and_empty_answers():
    with Sandbox("--org", "1:fault=gateway:1", "--org", "2:fault=empty:1") as sb:
        answers = [sb.events("org0001") for _ in range(20)]
        assert {a.status for a in answers} == {502, 504}
        assert all(a.headers["Content-Type"].startswith("text/html") and b"<html>" in a.body for a in answers)
        answers = [sb.events("org0002") for _ in range(20)]
        assert {a.status for a in answers} == {200}
        assert {a.body[:6] for a in answers} == {b"", b"<html>"}
        assert all(a.headers["Content-Type"].startswith("text/html") == (a.body != b"") for a in answers)


def test_faults_repeat():
    def outcomes(seed):
        with Sandbox("--fault", "500:0.3", "--fault", "503:0.2", "--fault-seed", seed) as sb:
            return [sb.events("org0001", itemsPerPage=1).status for _ in range(60)]
    one = outcomes(7)
    assert one == outcomes(7) and one != outcomes(8)
    assert {200, 500, 503} == set(one) and 15 < one.count(200) < 45


def test_date_skew():
    with Sandbox("--skew", 86400) as sb:
        date = parsedate_to_datetime(sb.events("org0001").headers["Date"])
        assert timedelta(0) <= date - instant("2026-11-23T00:00:00Z") < timedelta(seconds=60)
    with Sandbox("--skew", -86400) as sb:
        date = parsedate_to_datetime(sb.events("org0001").headers["Date"])
        assert timedelta(0) <= date - instant("2026-11-21T00:00:00Z") < timedelta(seconds=60)
        sb.shift(3600)
        date = parsedate_to_datetime(sb.events("org0001").headers["Date"])
        assert date >= instant("2026-11-21T01:00:00Z")


# The program -----------------------------------------------------------------------------------------

def test_determinism():
    def page(seed, *more):
        with Sandbox("--seed", seed, *more) as sb:
            body = sb.events("org0002", itemsPerPage=500, includeRaw="true").body
            return body[body.index(b'"results"'):], sb.config["org0002"]
    one = page(5)
    assert one == page(5)
    other = page(6)
    assert other[0] != one[0] and other[1] != one[1]
    ids = [run("--organizations", 1, "--seed", s, "--now", NOW, "--print", "ids", 1) for s in (5, 5, 6)]
    assert ids[0] == ids[1] != ids[2]
    assert not set(ids[0].split()) & set(ids[2].split())


def test_ids_are_unique():
    seen = set()
    for number in range(1, 21):
        ids = run("--organizations", 20, "--now", NOW, "--print", "ids", number).decode().split()
        assert not seen & set(ids)
        assert all(re.fullmatch("[0-9a-f]{24}", i) for i in ids)
        seen |= set(ids)
    config = parse_config(run("--organizations", 3000, "--credentials", "both", "--events", 0,
                              "--print", "config", "--port", 8080))
    for key in ("org_id", "public_key", "private_key", "client_id", "client_secret"):
        assert len({org[key] for name, org in config.items() if name}) == 3000, key
    assert all(re.fullmatch("mdb_sa_id_[0-9a-f]{24}", o["client_id"]) for n, o in config.items() if n)


def status_number(pid, field):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(field + r":\s+(\d+)", f.read()).group(1))


def test_hundred_million_events():
    def peak(events):
        with Sandbox("--events", events, "--no-limits", orgs=1) as sb:
            for page in (1, 2, max(1, events // 1000), max(1, events // 500)):
                answer = sb.events("org0001", itemsPerPage=500, pageNum=page, includeRaw="true").json()
                assert len(answer["results"]) == 500 and answer["totalCount"] == events
            middle = sb.events("org0001", itemsPerPage=500, minDate="2025-12-01T00:00:00Z",
                               maxDate="2025-12-01T00:01:00Z", eventType="TEAM_CREATED")
            assert middle.status == 200
            return status_number(sb.process.pid, "VmHWM")
    small, big = peak(1000), peak(100000000)
    if "asan" not in SANDBOX:
        assert big < small + 4096, (small, big)


def test_many_wait_without_threads():
    with Sandbox("--latency", 400, "--no-limits", "--credentials", "service-account", orgs=1) as sb:
        token = sb.token_request("org0001").json()["access_token"]
        request = (f"GET {sb.path('org0001', itemsPerPage=1)} HTTP/1.1\r\nHost: x\r\nAccept: {V2}\r\n"
                   f"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n").encode()
        began = time.monotonic()
        sockets = []
        for _ in range(400):
            s = socket.create_connection(("127.0.0.1", sb.port), timeout=30)
            s.sendall(request)
            sockets.append(s)
        threads = status_number(sb.process.pid, "Threads")
        assert threads <= 6, threads
        for s in sockets:
            assert s.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
            s.close()
        took = time.monotonic() - began
        assert 0.4 <= took < 10, took
        assert sb.stats("org0001")["max_concurrent"] > 100


def test_many_clients():
    with Sandbox("--no-limits", "--events", 1200, orgs=8) as sb:
        def read(number):
            org, ids = f"org{number:04}", set()
            mine = Sandbox.__new__(Sandbox)
            mine.__dict__.update(sb.__dict__, nonces={}, connection=None)
            for page in (1, 2, 3):
                ids |= {e["id"] for e in mine.events(org, itemsPerPage=500, pageNum=page).json()["results"]}
            mine.connection.close()
            return ids == set(run(*sb.options, "--print", "ids", number).decode().split())
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(1, 9)))
        whole = json.loads(sb.admin("stats"))
        assert whole["credential_violations"] == 0
        for org in whole["organizations"].values():
            assert org["ok"] == 3 and org["challenges"] == 1 and org["connections"] == 1 and org["rows"] == 1200


def test_gzip():
    with Sandbox() as sb:
        plain = sb.events("org0001", itemsPerPage=500)
        packed = sb.events("org0001", itemsPerPage=500, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
        assert len(packed.body) < len(plain.body) / 3
        refused = sb.events("org0001", headers={"Accept-Encoding": "gzip;q=0"})
        assert "Content-Encoding" not in refused.headers
    with Sandbox("--no-gzip") as sb:
        assert "Content-Encoding" not in sb.events("org0001", headers={"Accept-Encoding": "gzip"}).headers


def test_prepared():
    """What is kept comes out as what is made anew: other questions' links and counts around the same rows, faults too."""
    with Sandbox() as anew, Sandbox("--prepared", "16") as kept, Sandbox("--prepared", "1") as full:
        for query in ({"itemsPerPage": 500}, {"itemsPerPage": 500, "includeRaw": "true"}, {"itemsPerPage": 7, "pageNum": 2},
                      {"itemsPerPage": 500, "maxDate": "2090-01-01T00:00:00Z"}, {"pretty": "true"}, {"pageNum": 100000}):
            plain = anew.events("org0001", **query).body.replace(anew.url.encode(), b"URL")
            for sb in (kept, kept, full):
                packed = sb.events("org0001", headers={"Accept-Encoding": "gzip"}, **query)
                body = packed.body if "Content-Encoding" not in packed.headers else gzip.decompress(packed.body)
                assert body.replace(sb.url.encode(), b"URL") == plain, query
            assert kept.events("org0001", **query).body.replace(kept.url.encode(), b"URL") == plain, query
    with Sandbox("--prepared", "16", "--fault", "malformed:1") as sb:
        for _ in range(2):
            packed = sb.events("org0001", headers={"Accept-Encoding": "gzip"})
            try:
                json.loads(gzip.decompress(packed.body))
            except ValueError:
                continue
            raise AssertionError("not malformed")


def test_tls():
    if not shutil.which("openssl"):
        raise Skip("no openssl command")
    with tempfile.TemporaryDirectory() as room:
        cert, key = room + "/cert.pem", room + "/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=sandbox",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        context = ssl.create_default_context(cafile=cert)
        with Sandbox("--tls-cert", cert, "--tls-key", key, tls=context) as sb:
            assert sb.url.startswith("https://") and sb.config[""]["ca_file"] == os.path.realpath(cert)
            page = sb.events("org0001", itemsPerPage=500).json()
            assert len(page["results"]) == 500 and page["links"][0]["href"].startswith("https://")


def test_stops_cleanly():
    for sig in (signal.SIGTERM, signal.SIGINT):
        sb = Sandbox("--fault", "hang:1")
        nonce = sb.challenge(sb.path("org0001"))
        path = sb.path("org0001")
        s = socket.create_connection(("127.0.0.1", sb.port), timeout=30)
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {sb.digest('org0001', path, nonce, 1)}\r\n\r\n".encode())
        while sb.stats("org0001")["requests"] < 2:
            pass
        began = time.monotonic()
        sb.stop(sig)
        assert time.monotonic() - began < 5
        s.close()


def test_header_case():
    for case, spelled in (("recorded", b"Ratelimit-Remaining: "), ("lower", b"\r\nratelimit-remaining: "),
                          ("upper", b"\r\nRATELIMIT-REMAINING: ")):
        with Sandbox("--header-case", case) as sb:
            path = sb.path("org0001", itemsPerPage=1)
            value = sb.digest("org0001", path, sb.challenge(path), 1)
            with socket.create_connection(("127.0.0.1", sb.port), timeout=30) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {V2}\r\nConnection: close\r\n"
                          f"Authorization: {value}\r\n\r\n".encode())
                whole = b"".join(iter(lambda: s.recv(65536), b""))
            assert spelled in whole, whole


def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as why:
        raise Skip(f"no IPv6 here: {why}")
    process = subprocess.Popen([SANDBOX, "--organizations", "1", "--listen", "::1"], stdout=subprocess.PIPE)
    line = process.stdout.readline().decode()
    match = re.fullmatch(r"listening on http://\[::1\]:(\d+)\n", line)
    try:
        assert match, line
        connection = http.client.HTTPConnection("::1", int(match.group(1)), timeout=10)
        connection.request("GET", "/_sandbox/stats")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
        process.stdout.close()
    config = run("--organizations", 1, "--listen", "::1", "--port", 8080, "--print", "config")
    assert b'base_url: "http://[::1]:8080"' in config


def test_print_config():
    with tempfile.TemporaryDirectory() as room:
        secrets = room + "/secrets"
        base = ["--organizations", 4, "--credentials", "mixed", "--print", "config", "--url", "http://127.0.0.1:9"]
        plain = run(*base)
        filed = run(*base, "--secrets-dir", secrets, "--directory", "/x/y", "--backfill-start", "none")
        assert run(*base, "--secrets-dir", secrets, "--directory", "/x/y", "--backfill-start", "none") == filed
        assert b"backfill_start_time: 2025-01-01T00:00:00Z" in plain and b"backfill" not in filed
        assert b'directory: "/x/y"' in filed and b'base_url: "http://127.0.0.1:9"' in filed
        found = 0
        for name, org in parse_config(plain).items():
            for key in ("private_key", "client_secret"):
                if name and key in org:
                    path = f"{secrets}/{name}.{key}"
                    assert f"    {key}: {{ file: \"{path}\" }}\n".encode() in filed
                    assert os.stat(path).st_mode & 0o777 == 0o600
                    with open(path) as f:
                        assert f.read() == org[key] + "\n"
                    assert org[key].encode() not in filed
                    found += 1
        assert found == 4 and os.stat(secrets).st_mode & 0o777 == 0o700


def test_selectors():
    with Sandbox("--events", 10, "--org", "every/3:events=3", "--org", "org0002:events=2",
                 "--org", "org001*:events=0", "--org", "12:events=12", orgs=12) as sb:
        counts = [sb.events(f"org{n:04}").json()["totalCount"] for n in range(1, 13)]
        assert counts == [10, 2, 3, 10, 10, 3, 10, 10, 3, 0, 0, 12]


def test_usage():
    bad = [[], ["--organizations", "0"], ["--organizations", "x"], ["--nothing"], ["extra", "--organizations", "1"],
           ["--organizations", "1", "--org", "1:nothing=1"], ["--organizations", "1", "--org", "2:events=1"],
           ["--organizations", "1", "--org", "1:burst=2026-01-01T00:00:00.900Z/5/200"],
           ["--organizations", "1", "--org", "1:poison=worse@2026-01-01T00:00:00Z"],
           ["--organizations", "1", "--fault", "600:0.1"], ["--organizations", "1", "--fault", "500:2"],
           ["--organizations", "1", "--events", "5..3"], ["--organizations", "1", "--from", "2026-01-01"],
           ["--organizations", "1", "--print", "ids"], ["--organizations", "1", "--print", "ids", "2"],
           ["--organizations", "1", "--print", "config"], ["--organizations", "1", "--tls-cert", "x"],
           ["--organizations", "1", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"]]
    for args in bad:
        done = subprocess.run([SANDBOX, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10)
        assert done.returncode == 2 and done.stderr.startswith(b"atlas-sandbox: ") or args == ["--nothing"], (args, done)
        assert done.stdout == b""
    assert b"--organizations" in run("--help") and run("--version").startswith(b"atlas-sandbox (orgsync) ")


def test_port_file_and_busy_port():
    with tempfile.TemporaryDirectory() as room:
        with Sandbox("--port-file", room + "/port") as sb:
            with open(room + "/port") as f:
                assert f.read() == f"{sb.port}\n"
            done = subprocess.run([SANDBOX, "--organizations", "1", "--port", str(sb.port)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10)
            assert done.returncode == 1 and b"in use" in done.stderr
            with open("/proc/net/tcp") as f:
                rows = [line.split() for line in f if line.split()[1].endswith(f":{sb.port:04X}")
                        and line.split()[3] == "0A"]
            assert [row[1][:8] for row in rows] == ["0100007F"], rows


def test_garbage():
    """Bytes that are no request leave the server standing."""
    with Sandbox("--no-limits") as sb:
        path = sb.path("org0001")
        headers = ["Digest", "Digest ", "Digest username", 'Digest username="', 'Digest username="\\',
                   'Digest username="' + "x" * 3000 + '"', "Digest ,,,===", "Bearer ", "Bearer x", "Basic ",
                   "Basic ====", "Basic " + "A" * 4000, "Digest a=b c=d", "\xff\xfe"]
        sound = sb.digest("org0001", path, sb.challenge(path), 1)
        for _ in range(300):
            text = bytearray(sound.encode())
            for _ in range(RNG.randrange(1, 4)):
                text[RNG.randrange(7, len(text))] = RNG.randrange(32, 127)
            headers.append(text.decode())
        for value in headers:
            answer = sb.send("GET", path, {"Accept": V2, "Authorization": value.encode("latin-1")})
            assert answer.status in (401, 200), (value, answer.status)
            answer = sb.send("POST", "/api/oauth/token", {"Authorization": value.encode("latin-1")}, "grant_type=x")
            assert answer.status in (401, 400), (value, answer.status)
        for _ in range(300):
            query = "".join(RNG.choice("&=%+;?/\\'aZ09minDatepageNum") for _ in range(RNG.randrange(60)))
            answer = sb.get("org0001", path + "?" + query)
            assert answer.status in (200, 400), (query, answer.status)
            answer.json()
        for _ in range(50):
            s = socket.create_connection(("127.0.0.1", sb.port), timeout=5)
            s.sendall(bytes(RNG.randrange(256) for _ in range(RNG.randrange(200))) + b"\r\n\r\n")
            s.close()
        assert sb.events("org0001").status == 200


def main():
    names = sys.argv[1:] or [name for name in globals() if name.startswith("test_")]
    passed = failed = skipped = 0
    print(f"seed {SEED} (ORGSYNC_TEST_SEED)")
    for name in names:
        began = time.monotonic()
        try:
            globals()[name]()
            passed += 1
            print(f"ok {name} ({time.monotonic() - began:.2f} s)", flush=True)
        except Skip as why:
            skipped += 1
            print(f"skipped {name}: {why}")
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
