#!/usr/bin/env python3
"""Everything is run with secrets that the test knows, and none of them may be found in any output, log, record,
ledger, day file, argument list or environment that is not the place it was put in."""

import base64
import hashlib
import http.server
import json
import os
import re
import resource
import signal
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

KINDS = ("plain", "env", "file", "command", "systemd")
DAYS = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-03T00:00:00Z"]


def forms(secret, user=""):
    """The forms in which a secret might come out. The digest's HA1 is as good as the password."""
    raw = secret.encode()
    yield raw
    yield urllib.parse.quote(secret, safe="").encode()
    yield base64.b64encode(raw).rstrip(b"=")[:-1]
    yield raw.hex().encode()
    if user:
        yield base64.b64encode(("%s:%s" % (user, secret)).encode())
        yield hashlib.md5(("%s:MMS Public API:%s" % (user, secret)).encode()).hexdigest().encode()


class Watcher(threading.Thread):
    """Reads, as long as it lives, the argument lists of a session's processes and the environments of all but the
    first one."""

    def __init__(self):
        super().__init__(daemon=True)
        self.leader = None
        self.seen = {}
        self.over = threading.Event()

    def run(self):
        while not self.over.is_set():
            for entry in os.listdir("/proc"):
                if entry.isdigit() and self.leader is not None:
                    self.look(int(entry))

    def look(self, pid):
        try:
            with open("/proc/%d/stat" % pid, "rb") as stat:
                session = int(stat.read().rsplit(b")", 1)[1].split()[3])
            if session != self.leader:
                return
            # Until a child has become another program it shows its parent's environment.
            ours = os.path.basename(os.readlink("/proc/%d/exe" % pid)) == "orgsync"
            for name in ("cmdline",) if ours else ("cmdline", "environ"):
                with open("/proc/%d/%s" % (pid, name), "rb") as data:
                    self.seen.setdefault((pid, name), set()).add(data.read())
        except (OSError, IndexError, ValueError):
            pass


class Echo(http.server.BaseHTTPRequestHandler):
    """A server that says in every place it can what it was sent."""

    status = 400
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.headers.get("Authorization", "none") + " " + self.rfile.read(length).decode()
        token = sent.split(" ")[1]
        body = json.dumps({"error": sent, "errorCode": sent, "detail": sent, "reason": sent, "parameters": [sent, token],
                           "error_description": sent}).encode()
        if self.status == 299:
            body = b'{"access_token": "' + b"echoed-token-" + b"7" * 40 + b'", "expires_in": "' + token.encode() + b'"}'
        self.send_response(200 if self.status in (299, 200) else self.status, "Because " + re.sub(r"[^\x20-\x7e]", "", token))
        self.send_header("Location", "http://%s@127.0.0.1:9/%s?q=%s" % (token, token, token))
        self.send_header("Content-Type", "application/json; x=" + token)
        self.send_header("X-Echo", sent)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Secrets(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.outputs = []
        self.secrets = {}      # what: bytes that must not come out
        self.places = []       # files and directories that may hold secrets
        self.variables = {}

    def know(self, what, secret, user=""):
        for i, form in enumerate(forms(secret, user)):
            if len(form) >= 8:
                self.secrets["%s (form %d)" % (what, i)] = form

    def set_up(self, *options, api=None):
        """A sandbox of ten organizations whose secrets are kept in all five ways, keys and service accounts."""
        sandbox = self.sandbox("--organizations", "10", "--events", "700", "--credentials", "mixed", "--seed", "77", *DAYS,
                               *options)
        path = sandbox.config(self.directory, *(("--api", api) if api else ()))
        directory = os.path.join(self.directory, "secrets")
        credentials = os.path.join(self.directory, "credentials")
        os.makedirs(credentials, 0o700, exist_ok=True)
        self.places = [directory, credentials, path, os.path.join(self.archives, ".orgsync", "tokens")]
        with open(path, encoding="utf-8") as text:
            text = text.read()
        for i in range(1, 11):
            name, kind = "org%04d" % i, KINDS[(i - 1) // 2]
            key = "private_key" if i % 2 else "client_secret"
            user = re.search(r"name: %s\n.*\n    (?:client_id|public_key): (\S+)\n" % name, text).group(1)
            with open(os.path.join(directory, name + "." + key), encoding="utf-8") as secret:
                secret = secret.read().rstrip("\n")
            self.know(name, secret, user)
            self.variables["SECRET_%d" % i] = secret if kind == "env" else None
            with open(os.path.join(credentials, name), "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as out:
                out.write(secret)
            text = re.sub(r"%s: \{ file: \"[^\"]*%s\.%s\" \}" % (key, name, key), key + ": " + {
                "plain": json.dumps(secret), "env": "{ env: SECRET_%d }" % i,
                "file": "{ file: \"%s/%s.%s\" }" % (directory, name, key),
                "command": "{ command: [ \"cat\", \"%s/%s\" ] }" % (credentials, name),
                "systemd": "{ systemd: %s }" % name}[kind], text)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, 0o600)
        self.variables["CREDENTIALS_DIRECTORY"] = credentials
        return sandbox, path

    def run_it(self, *arguments, codes=None, **options):
        watcher = Watcher()
        process = harness.start([harness.program("orgsync")] + list(arguments),
                                env=harness.environment(**self.variables), **options)
        watcher.leader = process.pid
        watcher.start()
        done = harness.finish(process)
        watcher.over.set()
        watcher.join()
        self.outputs.append(done)
        for (pid, name), values in watcher.seen.items():
            for value in values:
                self.find_in(value, "/proc/%d/%s of %s" % (pid, name, arguments))
        if codes is not None:
            self.assertIn(done.code, codes, done)
        return done

    def find_in(self, data, where):
        for what, secret in self.secrets.items():
            if secret in data:
                self.fail("a secret of %s stands in %s: …%r…" % (
                    what, where, data[max(0, data.index(secret) - 60):data.index(secret)]))

    def learn_tokens(self):
        tokens, count = os.path.join(self.archives, ".orgsync", "tokens"), 0
        for name in os.listdir(tokens) if os.path.isdir(tokens) else []:
            with open(os.path.join(tokens, name), encoding="utf-8") as text:
                self.know("token " + name[:8], json.load(text)["access_token"])
                count += 1
        return count

    def search(self):
        """Looks for every secret in all that was said and written."""
        for done in self.outputs:
            for name, text in (("output", done.out), ("log", done.err)):
                self.find_in(text.encode("utf-8", "surrogateescape"), "the %s of %s" % (name, done.argv[1:]))
        looked = 0
        for directory, _, names in os.walk(self.directory):
            for name in names:
                path = os.path.join(directory, name)
                if any(path == place or path.startswith(place + "/") for place in self.places):
                    continue
                with open(path, "rb") as data:
                    self.find_in(data.read(), path)
                self.find_in(path.encode(), "a file's name")
                looked += 1
        return looked

    def everything(self, config, codes):
        for command in (["test"], ["sync"], ["plan"], ["status"], ["verify"], ["list"]):
            for more in ([], ["--json"], ["-vv"], ["-q"]):
                self.run_it(*command, "-c", config, *more, codes=codes)
        for command in ("show", "validate", "schema"):
            self.run_it("config", command, "-c", config, codes=codes)


class Good(Secrets):
    def test_all_goes_well(self):
        _, config = self.set_up("--no-limits")
        self.everything(config, (0,))
        self.assertEqual(self.learn_tokens(), 5)
        self.assertGreater(self.search(), 30)

    def test_the_search_finds_what_is_there(self):
        _, config = self.set_up("--no-limits")
        with open(os.path.join(self.directory, "leak"), "wb") as out:
            out.write(b"x" + next(iter(self.secrets.values())) + b"y")
        self.assertRaisesRegex(AssertionError, "a secret of org0001", self.search)
        self.places = []
        os.unlink(os.path.join(self.directory, "leak"))
        self.assertRaisesRegex(AssertionError, "a secret of", self.search)
        self.assertTrue(config)

    def test_a_command_gets_no_other_secret(self):
        _, config = self.set_up("--no-limits")
        script = os.path.join(self.directory, "script")
        with open(script, "w", encoding="utf-8") as out:
            out.write("#!/bin/sh\nenv > '%s/environment'\nls -l /proc/$$/fd > '%s/files'\nexec cat \"$1\"\n" %
                      (self.directory, self.directory))
        os.chmod(script, 0o700)
        self.edit(config, ('"cat", ', '"%s", ' % script))
        self.run_it("sync", "-c", config, codes=(0,))
        self.assertTrue(os.path.exists(os.path.join(self.directory, "environment")))
        # Its input and messages go nowhere; of our files, locks and sockets it has none.
        with open(os.path.join(self.directory, "files"), encoding="utf-8") as files:
            files = dict(re.findall(r" (\d+) -> (.*)", files.read()))
        self.assertEqual((files.pop("0"), files.pop("2")), ("/dev/null", "/dev/null"))
        # The shell reads its script, and keeps its output aside while that of ls goes to the file.
        rest = [to for to in files.values() if to not in (script, os.path.join(self.directory, "files"))]
        self.assertEqual([to.split(":")[0] for to in rest], ["pipe"], files)
        self.learn_tokens()
        self.search()

    def test_no_core_and_nobody_reads_along(self):
        """The limit is 0 while the run is on, whatever it was before; a fatal signal leaves no file."""
        _, config = self.set_up("--no-limits", "--latency", "600000")
        process = harness.start([harness.program("orgsync"), "sync", "-q", "-c", config], cwd=self.directory,
                                env=harness.environment(**self.variables),
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (
                                    resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2))

        def limit():
            with open("/proc/%d/limits" % process.pid, encoding="ascii") as limits:
                return re.search(r"Max core file size +0 +0 ", limits.read())
        try:
            harness.wait_until(limit, "no core files", 30)
        finally:
            process.send_signal(signal.SIGABRT)
            done = harness.finish(process)
        self.assertNotEqual(done.code, 0)
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("core")], [])


class Bad(Secrets):
    def test_refused_in_every_way(self):
        ways = ("bad-key", "access-list", "unknown", "suspended", "role", "role-401", "inactive")
        options = []
        for i, way in enumerate(ways):
            options += ["--org", "%d:refuse=%s" % (i + 1, way)]
        _, config = self.set_up("--no-limits", "--org", "8:refuse=bad-key", *options)
        self.everything(config, (0, 3))
        self.learn_tokens()
        self.search()

    def test_faults_of_the_server(self):
        faults = ",".join("fault=%s:0.03" % kind for kind in ("429", "500", "503", "reset", "truncate", "malformed", "stale",
                                                              "redirect", "hang", "gateway", "empty"))
        _, config = self.set_up("--org", "every/1:" + faults, "--time-scale", "1000", "--token-life", "3600000")
        self.edit(config, ("\norganizations:", "\nlimits: { deadline: 2s }\norganizations:"))
        for api in ("v2", "v1.0"):
            self.edit(config, (r"(?m)^  api: .*$", "  api: " + api))
            self.run_it("test", "-vv", "-c", config, codes=(0, 3, 10))
            self.run_it("sync", "-vv", "-c", config, codes=(0, 3, 10))
        self.learn_tokens()
        self.search()

    def test_a_server_that_repeats_what_it_was_sent(self):
        _, config = self.set_up("--no-limits")
        port = self.serve(Echo)
        # Tokens that are at hand are sent to it, too.
        self.run_it("sync", "-q", "-c", config, codes=(0,))
        self.edit(config, (r'base_url: "[^"]*"', 'base_url: "http://127.0.0.1:%d"' % port),
                  ("\norganizations:", "\nlimits: { deadline: 1s }\norganizations:"))
        self.secrets["echoed token"] = b"echoed-token-"
        for status in (400, 401, 302, 200, 299):
            Echo.status = status
            self.run_it("test", "-vv", "-c", config, codes=(3, 4, 10, 12))
            self.run_it("sync", "-vv", "-c", config, codes=(3, 4, 10, 12))
        self.run_it("status", "-c", config, codes=(0,))
        self.learn_tokens()
        self.search()

    def test_secrets_that_are_kept_badly(self):
        _, config = self.set_up("--no-limits")
        self.know("a stray one", "correct-horse-battery-staple")
        stray = os.path.join(self.directory, "secrets", "stray")

        def put(data, mode=0o600):
            with open(stray, "wb") as out:
                out.write(data)
            os.chmod(stray, mode)
        script = ["sh", "-c", "cat '%s'; exit 1" % stray]
        with open(config, encoding="utf-8") as text:
            whole = text.read()
        file_entry = re.search(r"private_key: (\{ file: [^}]*\})", whole).group(1)
        for data, mode in ((b"correct-horse-battery-staple\nmore\n", 0o600), (b"correct-horse-battery-staple\0", 0o600),
                           (b"correct-horse-battery-staple", 0o644), (b"correct-horse-battery-staple" * 4000, 0o600),
                           (b"\n", 0o600), (b"correct-horse-battery-staple", 0o600)):
            put(data, mode)
            for reference in ('{ file: "%s" }' % stray, "{ command: %s }" % json.dumps(script)):
                with open(config, "w", encoding="utf-8") as out:
                    out.write(whole.replace(file_entry, reference))
                self.run_it("test", "-vv", "-c", config, codes=(2, 3))
                self.run_it("sync", "-vv", "-c", config, codes=(2, 3))
        self.learn_tokens()
        self.search()

    def test_a_configuration_with_mistakes_around_secrets(self):
        _, config = self.set_up("--no-limits")
        secret = "correct-horse-battery-staple"
        self.know("a plain one", secret)
        with open(config, encoding="utf-8") as text:
            whole = text.read()
        plain = re.search(r"private_key: \"[^\"]*\"", whole).group(0)
        for wrong in ("private_kye: %s", "private_key: [%s]", "private_key: { value: %s }", "private_key: { file: [%s] }",
                      "private_key: \"%s", "private_key: *%s", "private_key: &a %s\n    private_key: *a",
                      "private_key: !%s x", "private_key: |\n      %s\n      x", "private_key: %s\n    client_secret: %s",
                      "private_key: %s\n    private_key: %s", "private_key: {%s: x}", "private_key: %s: x", "%s: x", "%s",
                      "private_key: {env: '%s '}", "settle: %s", "tags: %s", "event_types: [%s]", "backfill_start_time: %s",
                      "private_key: \"%s\\q\"", "private_key: \"%s\xff\"", "private_key: '%s\n", "private_key: @%s",
                      "private_key: %s\n  bad indent: x", "private_key: %s\n\tx: y"):
            values = (secret,) * wrong.count("%s")
            with open(config, "w", encoding="latin-1") as out:
                out.write(whole.replace(plain, wrong % values))
            for command in (["config", "validate"], ["config", "show"], ["sync"]):
                done = self.run_it(*command, "-c", config, codes=(2,))
                # A value that is no secret by its key is the user's own text: only the line is told, or the text
                # where it stands in a place for other things.
                if not wrong.startswith("private_key"):
                    self.outputs.remove(done)
        os.chmod(config, 0o644)
        with open(config, "w", encoding="utf-8") as out:
            out.write(whole)
        done = self.run_it("sync", "-c", config, codes=(2,))
        self.assertIn("chmod 600", done.err)
        self.search()


if __name__ == "__main__":
    harness.main()
