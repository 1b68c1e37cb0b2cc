"""What the benchmarks share: a simulated Atlas over TLS, its pages as plain files behind nginx, a way to run a program
and know what it took, and a count of the events that came of it.
"""

import atexit
import calendar
import gzip
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness


class Took:
    """What a program took: seconds on the clock, seconds of CPU (all its threads and children), memory at most."""

    def __init__(self, line, code, out, err):
        self.wall_s, self.user_s, self.system_s, peak_kib, written = (float(word) for word in line.split())
        self.peak_bytes, self.written_bytes = int(peak_kib) * 1024, int(written)
        self.cpu_s = self.user_s + self.system_s
        self.code, self.out, self.err = code, out, err

    def want(self, code=0):
        if self.code != code:
            raise harness.Broken("ended with %d\n%s\n%s" % (self.code, self.out[-4000:], self.err[-4000:]))
        return self


def tool(name):
    """A program of the benchmarks', built by `make bench-programs`."""
    return os.path.join(harness.BUILDDIR, "tests", "bench", name)


def start(argv, room, stdin=None, cwd=None, env=None):
    """Starts the program; wait() gives what it took. Its output goes to files: reading it costs nobody anything."""
    out, err, line = tempfile.TemporaryFile(), tempfile.TemporaryFile(), os.path.join(room, "took")
    process = subprocess.Popen([tool("took"), line] + argv, stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err,
                               cwd=cwd, env=env or harness.environment())

    def wait():
        code = process.wait()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "backslashreplace"))
            stream.close()
        with open(line, encoding="ascii") as numbers:
            return Took(numbers.read(), code, *texts)
    return process, wait


def signal_child(process, number):
    """Sends a signal to the program that start() started, not to `took`: that one stays and says what it took, even of
    a program that was killed."""
    with open("/proc/%d/task/%d/children" % (process.pid, process.pid), encoding="ascii") as children:
        os.kill(int(children.read()), number)


def measure(argv, room, **options):
    """Runs the program to its end. The Took. What others wrote is on the disk before it begins: nobody's fsync waits for
    another's bytes."""
    os.sync()
    return start(argv, room, **options)[1]()


def cpu_of(pid):
    """Seconds of CPU that a process has taken so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scratch(memory=False):
    """A directory on a real disk: what is measured includes making files durable. memory: one that costs nothing, where
    it is the wire that is measured."""
    disk = os.environ.get("ORGSYNC_BENCH_DIR", "/var/tmp")
    room = tempfile.mkdtemp(prefix="orgsync-bench-", dir="/dev/shm" if memory and os.path.isdir("/dev/shm") else disk)
    if not memory and shutil.which("chattr"):  # on ext4: each directory made in it goes to another part of the disk
        subprocess.run(["chattr", "+T", room], capture_output=True, check=False)
    return room


def forget(place):
    """Has the system give up the memory that holds the files below it, for who comes next: in a virtual machine memory that
    is touched for the first time costs a multiple of what was used before, and a turn is not to pay for its place in the
    order (1.5 µs of system time an event grew to 4)."""
    os.sync()
    for top, _, names in os.walk(place):
        for path in (os.path.join(top, name) for name in names):
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def discard(room):
    """Removes what a row has left: at once in memory, on a disk when all is measured. For each file that is made, ext4
    without a journal looks at every inode near by that was freed in the last five minutes: no round is to be measured
    by what another one removed. (So wait as long before the next `make bench`.)"""
    if room.startswith("/dev/shm/"):
        shutil.rmtree(room)
    else:
        forget(room)
        atexit.register(shutil.rmtree, room, ignore_errors=True)


def certificate(directory):
    """(certificate file, key file) of an authority of our own for 127.0.0.1."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)
    return cert, key


class Nginx:
    """nginx with plain files over TLS: a .gz beside a file is sent to whoever takes gzip."""

    def __init__(self, room, root, cert, key, port):
        self.url = "https://127.0.0.1:%d" % port
        config = os.path.join(room, "nginx.conf")
        with open(config, "w", encoding="utf-8") as out:
            out.write("""daemon off; worker_processes 2; pid %s/nginx.pid; error_log %s/nginx.log; user root;
events { worker_connections 4096; }
http { access_log off; sendfile off; keepalive_requests 1000000; gzip_static on; default_type application/json;
  client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;
  server { listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s; root %s;
    location /by-number/ { rewrite ^/by-number/(.*)$ /$1/$arg_page.json last; } } }
""" % (room, room, room, room, room, room, room, port, cert, key, root))
        self.process = subprocess.Popen(["nginx", "-c", config, "-p", room], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        context = ssl.create_default_context(cafile=cert)
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url + "/", context=context, timeout=5)
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.02)
        raise harness.Broken("nginx does not answer: see %s/nginx.log" % room)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_pages(sandbox, n_orgs, root, rows=500):
    """Writes each organization's history as pages of so many rows, newest first, as the API shows them, each with a
    .gz beside it. The paths below root."""
    paths = []
    for i in range(1, n_orgs + 1):
        name = "org%04d" % i
        lines = sandbox.events(name)
        lines.reverse()
        os.makedirs(os.path.join(root, name))
        for at in range(0, len(lines), rows):
            path = "%s/%d.json" % (name, at // rows + 1)
            body = b'{"links": [], "results": [' + b", ".join(lines[at:at + rows]) + \
                   b'], "totalCount": %d}' % len(lines)
            with open(os.path.join(root, path), "wb") as out:
                out.write(body)
            with open(os.path.join(root, path + ".gz"), "wb") as out:
                out.write(gzip.compress(body, 6, mtime=0))
            paths.append(path)
    return paths


def can_run(peer):
    """Whether a peer's runtime is there: its folder's `ready` says so; one without it always runs."""
    ready = os.path.join(peer, "ready")
    return not os.path.exists(ready) or subprocess.run(["sh", ready], capture_output=True, check=False).returncode == 0


def digest_lines(sandbox, config, plan, place):
    """A file with a line an organization: the one question that the next run asks of it, and its key. plan: what
    `orgsync plan --json` says of that run. Its ranges adjoin, so that one question asks for them all: from a second
    before the first (docs/SYNC.md) to the end of the last, which is now by our own clock, whatever the sandbox's is."""
    windows = {}
    for one in plan["organizations"]:
        ranges = one["ranges"]
        if not ranges or any(a["to"] != b["from"] for a, b in zip(ranges, ranges[1:])):
            raise harness.Broken("not one question: %r" % one)
        begin_s = calendar.timegm(time.strptime(ranges[0]["from"], "%Y-%m-%dT%H:%M:%SZ"))
        windows[one["org_id"]] = tuple(text.replace(":", "%3A") for text in (
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin_s - 1)), ranges[-1]["to"]))
    path = os.path.join(place, "lines")
    with open(config, encoding="utf-8") as text, open(path, "w", encoding="ascii") as out:
        org = public = None
        for line in text:
            word, _, value = line.strip().partition(": ")
            if word == "org_id":
                org = value.strip('"')
            elif word == "public_key":
                public = value
            elif word == "private_key":
                with open(value.split('"')[1], encoding="ascii") as secret:
                    out.write("%s/api/atlas/v2/orgs/%s/events?includeCount=true&includeRaw=true&itemsPerPage=500"
                              "&pageNum=1&minDate=%s&maxDate=%s %s:%s\n"
                              % ((sandbox.url, org) + windows[org] + (public, secret.read().strip())))
    return path


# ---- what was archived -------------------------------------------------------------------------------------------

# The sandbox writes an event's members in alphabetical order (cmd/atlas-sandbox/render.c), so what follows the name of
# its type, and perhaps its project, is its own id. Those of nested objects stand before, that of `raw` after it.
OWN_ID = rb'"eventTypeName":"[^"\n]*",(?:"groupId":"[^"\n]*",)?"id":"([^"\n]*)"'


def day_bytes(path):
    """What a day file holds. By the means of whoever has to read it, not by ours: gzip, and the zstd program."""
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as day:
        return day.read()


def archived(archives, expected, count_only=False):
    """(lost, repeated) events of orgsync's archives; expected: how many there are, by organization. An event is there
    where its whole line stands in the file of its day; any line beside those is one too many, and where there are more
    than there should be, that is as wrong as too few. count_only: only lines, of which gigabytes take a second."""
    lost = repeated = 0
    for name, n in expected.items():
        lines = there = 0
        for path in harness.day_files(os.path.join(archives, name)):
            data, day = day_bytes(path), os.path.basename(path)[:10].encode()
            lines += data.count(b"\n")
            if not count_only:
                there += len(set(re.findall(rb'"created":"' + day + rb'T[^\n]*?' + OWN_ID + rb'[^\n]*\}\n', data)))
        lost += abs(n - (lines if count_only else there))
        repeated += 0 if count_only else lines - there
    return lost, repeated


def want_archived(archives, expected, **options):
    """What was measured is worth nothing where an event is missing."""
    lost, repeated = archived(archives, expected, **options)
    if lost or repeated:
        raise harness.Broken("%s: %d events lost, %d repeated" % (archives, lost, repeated))


def events_asked(sandbox):
    """How many events each organization has by now, as the sandbox says."""
    address, counts = sandbox.url.split("/")[2], {}
    connection = http.client.HTTPConnection(address, timeout=harness.TIMEOUT_S)
    for name in sandbox.stats()["organizations"]:
        connection.request("GET", "/_sandbox/ids/" + name)
        answer = connection.getresponse()
        if answer.status != 200:
            raise harness.Broken("%s: %d" % (name, answer.status))
        counts[name] = answer.read().count(b"\n")
    connection.close()
    return counts


def fetched(directory, expected):
    """(lost, repeated) events among the pages (*.json) or lines (*.ndjson, *.jsonl) that a competitor wrote. What it
    keeps for itself, in directories with a dot, is nobody's event."""
    ids, n = set(), 0
    for top, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            if name.endswith((".json", ".ndjson", ".jsonl")):
                with open(os.path.join(top, name), "rb") as file:
                    those = ids_in(file.read(), name.endswith(".json"))
                ids.update(those)
                n += len(those)
    return expected - len(ids), n - len(ids)


def ids_in(data, is_page):
    """The ids of the events in a page, or in lines. Who keeps the text of an event, as most do, is read much faster."""
    found = re.findall(OWN_ID, data)
    if is_page or len(found) == data.count(b"\n"):
        return found
    found = []
    for line in data.split(b"\n"):
        try:
            found.append(json.loads(line)["id"].encode())
        except (ValueError, KeyError, TypeError, AttributeError):
            pass # no event, or half of one
    return found
