#!/usr/bin/env python3
"""HTTP/2: nginx speaks it before the sandbox, which does not. What holds over HTTP/1.1 holds here too: archives exact
to the byte, never more connections than requests in flight. And what only HTTP/2 has ends no organization: streams
that share a connection and its window, a limit of streams, GOAWAY, many requests lost with one connection."""

import collections
import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

NGINX = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin")
CONF = """
daemon off; worker_processes 2; pid %(room)s/pid; error_log %(room)s/error.log notice; %(user)s
events { worker_connections 4096; }
http {
  log_format seen '$msec $request_time $server_protocol $connection $status $bytes_sent';
  access_log %(room)s/access.log seen;
  client_body_temp_path %(room)s/b; proxy_temp_path %(room)s/p; fastcgi_temp_path %(room)s/f;
  uwsgi_temp_path %(room)s/u; scgi_temp_path %(room)s/s;
  upstream sandbox { server %(sandbox)s; keepalive 256; }
  server {
    listen 127.0.0.1:%(port)d ssl http2; ssl_certificate %(cert)s; ssl_certificate_key %(key)s; %(more)s
    location / {
      proxy_pass http://sandbox; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_buffering off; proxy_next_upstream off;
    }
  }
}
"""

# A request as nginx saw it; when it began and ended in milliseconds.
Seen = collections.namedtuple("Seen", "begin_ms end_ms protocol connection status sent_bytes")


class Nginx:
    """nginx before a sandbox; `more` is put among the server's settings. It is handed a socket that listens already, as
    it hands one to its own successor: nobody else takes the port, and nobody waits until it is up."""

    def __init__(self, room, sandbox, more):
        os.mkdir(room)
        self.room, self.cert, key = room, os.path.join(room, "cert.pem"), os.path.join(room, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", key, "-out", self.cert, "-days", "2", "-subj", "/CN=nginx",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True)
        conf, log = os.path.join(room, "nginx.conf"), os.path.join(room, "error.log")
        with socket.create_server(("127.0.0.1", 0), backlog=511) as listener:
            listener.setblocking(False)  # it would do that to one of its own; one of two workers would stay in accept()
            port = listener.getsockname()[1]
            with open(conf, "w", encoding="utf-8") as out:
                out.write(CONF % {"room": room, "sandbox": sandbox.url[len("http://"):], "port": port, "more": more,
                                  "cert": self.cert, "key": key, "user": "user root;" if os.geteuid() == 0 else ""})
            self.process = harness.start([NGINX, "-c", conf, "-p", room, "-e", log], pass_fds=[listener.fileno()],
                                         env=harness.environment(NGINX="%d;" % listener.fileno()))
        self.url = "https://127.0.0.1:%d" % port

    def read(self, name):
        """One of its logs; only whole lines."""
        path = os.path.join(self.room, name)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as log:
            return [line for line in log if line.endswith("\n")]

    def count(self, words):
        """How many lines of its error log have the words."""
        return sum(words in line for line in self.read("error.log"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        done = harness.finish(self.process)
        if done.code != 0:
            raise harness.Broken("%s\n%s" % (done, "".join(self.read("error.log"))))

    def seen(self):
        """The requests that have ended; without those that a killed worker had."""
        found = []
        for line in self.read("access.log"):
            end, took, protocol, connection, status, sent = line.split()
            end_ms = round(float(end) * 1000)
            found.append(Seen(end_ms - round(float(took) * 1000), end_ms, protocol, connection, int(status), int(sent)))
        return found

    def reload(self):
        """Its workers go when they have answered what they were asked; others come."""
        self.process.send_signal(signal.SIGHUP)

    def kill_workers(self):
        """Their connections end in the middle of whatever it is; others come."""
        for name in os.listdir("/proc"):
            try:
                with open("/proc/%d/stat" % int(name), encoding="utf-8", errors="replace") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                if parent == self.process.pid:
                    os.kill(int(name), signal.SIGKILL)
            except (ValueError, OSError):  # not a process, or not any more
                continue


def most_at_once(requests):
    """How many of them were under way at the same time."""
    now = most = 0
    for _, change in sorted([(one.begin_ms, 1) for one in requests] + [(one.end_ms, -1) for one in requests]):
        now += change
        most = max(most, now)
    return most


@unittest.skipUnless(NGINX, "no nginx")
@unittest.skipUnless(shutil.which("openssl"), "no openssl command")
class Http2(harness.TestCase):
    def begin(self, count, *options, nginx="", workers=2, in_flight=32):
        """So many organizations, odd ones with a key pair and even ones with a service account, behind nginx."""
        self.names = ["org%04d" % i for i in range(1, count + 1)]
        self.server = self.sandbox("--organizations", str(count), "--credentials", "mixed", "--no-limits",
                                   "--from", "2026-03-01T00:00:00Z", "--to", "2026-03-04T00:00:00Z", *options)
        self.nginx = Nginx(os.path.join(self.directory, "nginx"), self.server, nginx)
        self.addCleanup(self.nginx.stop)
        self.in_flight = in_flight
        self.config = self.server.config(
            self.directory, atlas="ca_file: " + self.nginx.cert,
            more="limits: { workers: %d, in_flight: %d, backoff: 50ms }\n" % (workers, in_flight))
        self.edit(self.config, (r"base_url: \S+", "base_url: " + self.nginx.url))

    def start(self):
        return harness.start([harness.program("orgsync"), "sync", "--json", "-c", self.config])

    def check(self, done):
        """It ended well, every archive is exact, and nothing but HTTP/2 was spoken. The requests by connection."""
        self.assert_code(done, 0)
        self.assert_all_exact(self.server, self.names)
        connections = collections.defaultdict(list)
        for one in self.nginx.seen():
            self.assertEqual(one.protocol, "HTTP/2.0")
            connections[one.connection].append(one)
        self.assertEqual(self.server.stats()["credential_violations"], 0)
        every = [one for those in connections.values() for one in those]
        print("%.1f s, %d requests over %d connections, at once %d, over one %d; tried again %d" % (
            done.seconds, len(every), len(connections), most_at_once(every),
            max(map(most_at_once, connections.values())), done.err.count("trying again")), end=" ... ", flush=True)
        return connections

    def check_undisturbed(self, done):
        """And nothing was tried again, nothing was broken off, and no more connections were made than there may be
        requests in flight."""
        connections = self.check(done)
        self.assertNotIn("level=warn", done.err)
        every = [one for those in connections.values() for one in those]
        self.assertEqual({one.status for one in every}, {200, 401})
        self.assertLessEqual(len(connections), self.in_flight)
        return connections

    def test_exact(self):
        """Many organizations with several pages each share connections, and each gets its own answers."""
        self.begin(40, "--events", "700..1300", "--silent-cap", "250")
        connections = self.check_undisturbed(harness.finish(self.start()))
        self.assertGreater(max(map(most_at_once, connections.values())), 1)
        self.assertGreater(max(map(len, connections.values())), 40)

    def test_few_streams(self):
        """A server that allows three streams a connection: the others wait or go elsewhere, and none is refused."""
        self.begin(40, "--events", "200..400", "--silent-cap", "100", "--latency", "20",
                   nginx="http2_max_concurrent_streams 3;")
        self.check_undisturbed(harness.finish(self.start()))

    def test_large_and_small(self):
        """Answers of four megabytes and of some kilobytes at once over one connection, more in all than its window."""
        self.begin(8, "--events", "80", "--no-gzip", "--silent-cap", "20", "--org", "every/2:event-bytes=200000",
                   workers=1, in_flight=6)
        connections = self.check_undisturbed(harness.finish(self.start()))
        busiest = max(connections.values(), key=lambda those: sum(one.sent_bytes for one in those))
        self.assertGreater(sum(one.sent_bytes for one in busiest), 33 << 20)  # libcurl's window is 32 MiB, or less
        self.assertTrue(any(large.sent_bytes > 1 << 20 and small.sent_bytes < 1 << 16 and
                            large.begin_ms < small.end_ms and small.begin_ms < large.end_ms
                            for large in busiest for small in busiest), "none beside one another")

    def test_goaway(self):
        """A server that ends each connection after twenty requests: nothing is refused for good."""
        self.begin(40, "--events", "400", "--silent-cap", "20", nginx="keepalive_requests 20;")
        done = harness.finish(self.start())
        connections = self.check(done)
        self.assertLessEqual(max(map(len, connections.values())), 20)
        self.assertNotIn("level=warn", done.err)  # what met a GOAWAY went once more, at once

    def disturb(self, act):
        """Does it three times while the run is under way, at least once. The Done, and how often it was done."""
        self.begin(40, "--events", "400", "--silent-cap", "20", "--latency", "30")
        process, times = self.start(), 0
        for count in (80, 200, 320):
            harness.wait_until(lambda: len(self.nginx.seen()) >= count or process.poll() is not None, "requests")
            if process.poll() is None:
                act(self.nginx)
                times += 1
        self.assertGreater(times, 0)
        return harness.finish(process), times

    def test_reload(self):
        """A server that is reloaded, three times: requests meet connections that are about to end."""
        done, times = self.disturb(Nginx.reload)
        self.check(done)
        self.assertNotIn("level=warn", done.err)
        harness.wait_until(lambda: self.nginx.count("start worker process ") == 2 * (1 + times), "all workers start")

    def test_workers_killed(self):
        """A server whose workers are killed, three times: all that was in flight is asked again, in the same run."""
        done, times = self.disturb(Nginx.kill_workers)
        self.check(done)
        self.assertEqual(self.nginx.count("exited on signal 9"), 2 * times)

    def test_all_at_once(self):
        """A server that takes its time over each answer: 64 requests wait for theirs together, none for another's."""
        self.begin(96, "--events", "100", "--silent-cap", "50", "--latency", "250", workers=4, in_flight=64)
        done = harness.finish(self.start())
        connections = self.check_undisturbed(done)
        every = [one for those in connections.values() for one in those]
        self.assertGreaterEqual(most_at_once(every), 48)
        took_ms = max(one.end_ms for one in every) - min(one.begin_ms for one in every)
        self.assertGreater(sum(one.end_ms - one.begin_ms for one in every), 8 * took_ms)


if __name__ == "__main__":
    harness.main()
