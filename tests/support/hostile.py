"""An API server that answers well, but for one chosen fault an organization: raw sockets, so that every byte of an
answer is the test's own. Plain http or TLS on the loopback.

A fault is a function of an Exchange. It returns True where it has dealt with the request; otherwise the organization
is answered as it should be.
"""

import datetime
import hashlib
import json
import os
import re
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

REALM = "MMS Public API"
TYPE = b"application/vnd.atlas.2023-01-01+json;charset=utf-8"


def stamp(second):
    return datetime.datetime.fromtimestamp(second, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def event(tenant, number, second, **changes):
    """An ordinary event as its bytes, without white space; a change to None takes a member away."""
    members = {"id": "%024x" % (second * 1000 + number), "created": stamp(second), "orgId": tenant.org_id,
               "eventTypeName": "USER_ADDED", "number": number}
    members.update(changes)
    members = {key: value for key, value in members.items() if value is not None}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=True).encode()


class Tenant:
    """One organization: what it holds, how it misbehaves, and what was asked of it."""

    FIRST = epoch("2026-10-01T00:00:00Z")

    def __init__(self, name, fault=None, count=8, times=None, early=False, latency=0, rows=500,
                 after=0):
        self.name = name
        self.org_id = hashlib.sha256(name.encode()).hexdigest()[:24]
        self.user, self.secret = "public-" + self.org_id[:8], "secret-" + self.org_id
        self.fault = fault           # None: honest
        self.times = times           # the fault is committed so often; None: always
        self.after = after           # and only after so many good answers
        self.early = early           # before the credential is looked at, too
        self.latency, self.rows = latency, rows
        self.good = [(self.FIRST + 28800 * i, event(self, i, self.FIRST + 28800 * i)) for i in range(count)]
        self.filed = {}              # the second that a row is filed under, where it is another than it has here
        self.bad = []                # (second, bytes) of rows that no archive may hold
        self.asked = self.challenged = self.faults = 0
        self.sent = 0                # bytes
        self.lock = threading.Lock()

    def lines(self):
        """What the archive has to hold."""
        return [data for _, data in sorted(self.good, key=lambda row: (self.filed.get(row[1], row[0]),
                                                                       json.loads(row[1])["id"]))]

    def config(self):
        return ("  - name: \"%s\"\n    org_id: %s\n    public_key: %s\n    private_key: %s\n"
                "    backfill_start_time: 2026-09-30T00:00:00Z\n" % (self.name, self.org_id, self.user, self.secret))


class Gone(Exception):
    """The client has hung up, or the server ends."""


class Exchange:
    """One request, and the ways to answer it."""

    def __init__(self, server, connection, method, target, headers):
        self.server, self.connection, self.method, self.target, self.headers = server, connection, method, target, headers
        parts = urllib.parse.urlsplit(target)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.tenant, self.closed = None, False

    # ---- the wire

    def send(self, data):
        view, chunk = memoryview(data), 1 << 18
        try:
            for at in range(0, len(view), chunk):
                self.connection.sendall(view[at:at + chunk])
                if self.tenant:
                    self.tenant.sent += len(view[at:at + chunk])
        except (OSError, ValueError):
            raise Gone() from None

    def wait(self, seconds):
        """Waits; the client may hang up meanwhile."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return
            ready, _, _ = select.select([self.connection, self.server.stop_read], [], [], left)
            if self.server.stop_read in ready:
                raise Gone()
            if ready:
                try:
                    if not self.connection.recv(1, 0 if isinstance(self.connection, ssl.SSLSocket) else socket.MSG_PEEK):
                        raise Gone()
                except OSError:
                    raise Gone() from None
                time.sleep(min(left, 0.01))

    def hang(self):
        self.wait(600)
        raise Gone()

    def close(self):
        self.closed = True
        return True

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return self.close()

    # ---- answers

    def head(self, length, status=b"200 OK", fields=b"", kind=TYPE):
        """A status line and fields; length None: no Content-Length."""
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
        size = b"" if length is None else b"Content-Length: %d\r\n" % length
        return b"HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: %s\r\n%s%s\r\n" % (status, date, kind, size, fields)

    def answer(self, body, **options):
        self.send(self.head(len(body), **options) + body)
        return True

    def rows(self):
        """The rows that an honest server gives to this question, and how many there are in all."""
        low, high = epoch(self.query["minDate"]), epoch(self.query["maxDate"])
        every = sorted([row for row in self.tenant.good + ([] if self.server.healed else self.tenant.bad)
                        if low <= row[0] <= high], key=lambda row: row[0], reverse=True)
        size = min(int(self.query["itemsPerPage"]), self.tenant.rows)
        begin = (int(self.query["pageNum"]) - 1) * size
        return [data for _, data in every[begin:begin + size]], len(every)

    def page(self, rows=None, count=None, more=b""):
        """The bytes of a page: of these rows, or those that were asked for."""
        honest, total = self.rows()
        return b'{"links":[],"results":[%s],"totalCount":%s%s}' % (
            b",".join(honest if rows is None else rows), count if count is not None else b"%d" % total, more)


class Server:
    """Answers the tenants' questions until stop(). tls: an ssl.SSLContext, or None. mute: every connection is
    handed to that function, and no HTTP is spoken."""

    def __init__(self, tenants, tls=None, mute=None):
        self.tenants = {tenant.org_id: tenant for tenant in tenants}
        self.tls, self.mute = tls, mute
        self.healed = False
        self.problems = []                # of the client: credentials of another organization, strange requests
        self.connections = 0
        self.reused = 0                   # requests on a connection that had served another organization before
        self.lock = threading.Lock()
        self.stop_read, self.stop_write = os.pipe()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def stop(self):
        if self.stop_write is None:
            return
        os.close(self.stop_write)
        self.stop_write = None
        for thread in list(self.threads):
            thread.join(30)
        self.listener.close()
        os.close(self.stop_read)

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def _accept(self):
        while True:
            ready, _, _ = select.select([self.listener, self.stop_read], [], [])
            if self.stop_read in ready:
                return
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection):
        try:
            if self.mute:
                self.mute(connection)
                return
            if self.tls:
                connection.settimeout(30)
                connection = self.tls.wrap_socket(connection, server_side=True)
                connection.settimeout(None)
            self._talk(connection)
        except (Gone, OSError):
            pass
        finally:
            connection.close()

    def _read(self, connection):
        """One request's head; None at the connection's end."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (isinstance(connection, ssl.SSLSocket) and connection.pending()):
                ready, _, _ = select.select([connection, self.stop_read], [], [])
                if self.stop_read in ready:
                    return None
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, rest = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        if rest:
            self.problem("bytes behind a request: %r" % rest)
        return lines[0].split(" "), {name.lower(): value.strip() for name, _, value in
                                     (line.partition(":") for line in lines[1:])}

    def _talk(self, connection):
        before = None
        while True:
            read = self._read(connection)
            if read is None:
                return
            (method, target, _), headers = read
            x = Exchange(self, connection, method, target, headers)
            found = re.fullmatch(r"/api/atlas/v2/orgs/([0-9a-f]{24})/events", x.path)
            x.tenant = self.tenants.get(found.group(1)) if found and method == "GET" else None
            if x.tenant is None:
                self.problem("%s %s" % (method, target))
                x.answer(b"{}", status=b"404 Not Found")
                return
            with self.lock:
                self.reused += before is not None and before is not x.tenant
            before = x.tenant
            self._answer(x)
            if x.closed:
                return

    def _answer(self, x):
        tenant = x.tenant
        known = self._credential(x)
        with tenant.lock:
            tenant.asked += known
            tenant.challenged += not known
            wicked = tenant.fault is not None and not self.healed and (known or tenant.early) and \
                (tenant.times is None or tenant.faults < tenant.times) and \
                (tenant.after == 0 or tenant.asked - tenant.faults > tenant.after)
            tenant.faults += wicked
        if wicked and tenant.fault(x):
            return
        if not known:
            x.answer(b'{"error":401,"reason":"Unauthorized","errorCode":"UNEXPECTED_ERROR"}',
                     status=b"401 Unauthorized", fields=self.challenge())
            return
        if tenant.latency:
            x.wait(tenant.latency)
        x.answer(x.page())

    @staticmethod
    def challenge():
        return (b'WWW-Authenticate: Digest realm="%s", domain="", nonce="%s", algorithm=MD5, qop="auth", '
                b'stale=false\r\n' % (REALM.encode(), os.urandom(12).hex().encode()))

    def _credential(self, x):
        """Whether the request carries this organization's key, and it is right. Any other is noted."""
        given = x.headers.get("authorization")
        if given is None:
            return False
        fields = {key: quoted or plain for key, quoted, plain in
                  re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', given)}
        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()
        want = md5("%s:%s:%s:%s:auth:%s" % (
            md5("%s:%s:%s" % (x.tenant.user, REALM, x.tenant.secret)), fields.get("nonce"), fields.get("nc"),
            fields.get("cnonce"), md5("%s:%s" % (x.method, x.target))))
        if fields.get("username") != x.tenant.user or fields.get("response") != want or fields.get("uri") != x.target:
            self.problem("a credential that is not %s's: %s" % (x.tenant.name, fields.get("username")))
            return False
        return True


def write_config(directory, base_url, tenants, limits, name="orgsync.yaml", atlas=""):
    """A configuration of these organizations; their secrets stand in it, so it is private. Its path."""
    path = os.path.join(directory, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write("version: 1\natlas:\n  base_url: %s\n%soutput:\n  directory: archives\nlimits: { %s }\norganizations:\n%s" % (
            base_url, atlas, ", ".join("%s: %s" % pair for pair in limits.items()),
            "".join(tenant.config() for tenant in tenants)))
    return path


def authority(directory):
    """A certificate authority of the openssl command. Its certificate's path."""
    os.mkdir(os.path.join(directory, "ca"))
    key, cert = os.path.join(directory, "ca", "key.pem"), os.path.join(directory, "ca", "cert.pem")
    with open(os.path.join(directory, "ca", "conf"), "w", encoding="ascii") as out:
        out.write("[ca]\ndefault_ca=d\n[d]\ndatabase=%(d)s/ca/index\nserial=%(d)s/ca/serial\nnew_certs_dir=%(d)s/ca\n"
                  "certificate=%(c)s\nprivate_key=%(k)s\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n"
                  "unique_subject=no\n[p]\ncommonName=supplied\n" % {"d": directory, "c": cert, "k": key})
    for name, text in (("index", ""), ("serial", "1000\n")):
        with open(os.path.join(directory, "ca", name), "w", encoding="ascii") as out:
            out.write(text)
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
             "-out", cert, "-days", "3", "-subj", "/CN=test authority")
    return cert


def certificate(directory, name, subject_alt_name="IP:127.0.0.1", begin="20200101000000Z", end="20400101000000Z",
                signed=True):
    """A server's certificate: of the authority, or of its own. The ssl context that shows it."""
    key, cert, asked = (os.path.join(directory, name + kind) for kind in (".key", ".pem", ".csr"))
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
           "-subj", "/CN=" + name, "-addext", "subjectAltName=" + subject_alt_name]
    if signed:
        _openssl(*new, "-out", asked)
        _openssl("ca", "-batch", "-config", os.path.join(directory, "ca", "conf"), "-in", asked, "-out", cert,
                 "-startdate", begin, "-enddate", end, "-notext")
    else:
        _openssl(*new, "-x509", "-days", "3", "-out", cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise AssertionError("openssl %s: %s" % (arguments[0], done.stdout.decode(errors="replace")))
