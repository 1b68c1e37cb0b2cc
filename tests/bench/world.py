"""What the benchmarks share: a simulated Atlas over TLS, its pages as plain files behind nginx, and a way to run a
program and know what it took.
"""

import atexit
import gzip
import json
import os
import resource
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


def measure(argv, room, **options):
    """Runs the program to its end. The Took."""
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


def discard(room):
    """Removes what a row has left: at once in memory, on a disk when all is measured. For each file that is made, ext4
    without a journal looks at every inode near by that was freed in the last five minutes: no round is to be measured
    by what another one removed. (So wait as long before the next `make bench`.)"""
    if room.startswith("/dev/shm/"):
        shutil.rmtree(room)
    else:
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


def digest_lines(sandbox, config, place):
    """A file with a line an organization: the question that a nightly run asks, and its key."""
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
                              "&pageNum=1&minDate=2025-12-31T23%%3A59%%3A59Z&maxDate=2026-01-02T05%%3A58%%3A00Z %s:%s\n"
                              % (sandbox.url, org, public, secret.read().strip()))
    return path
