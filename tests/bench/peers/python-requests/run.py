#!/usr/bin/env python3
"""A thread pool with a requests session each, as most collectors are written: pages parsed, events appended to the
file of their day. No order, no checks.   run.py CA-FILE DIRECTORY AT-ONCE < URLS
"""
import concurrent.futures
import json
import os
import sys
import threading

import requests

CA_FILE, DIRECTORY, AT_ONCE = sys.argv[1], sys.argv[2], int(sys.argv[3])
local = threading.local()


def fetch(url):
    if not hasattr(local, "session"):
        local.session = requests.Session()
        local.session.trust_env = False
        local.session.verify = CA_FILE
    answer = local.session.get(url, timeout=60)
    answer.raise_for_status()
    organization, days = url.split("/")[-2], {}
    for event in answer.json()["results"]:
        days.setdefault(event["created"][:10], []).append(json.dumps(event, separators=(",", ":")))
    for day, lines in days.items():
        with open(os.path.join(DIRECTORY, organization + "-" + day + ".ndjson"), "a", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")


with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
    for _ in pool.map(fetch, sys.stdin.read().split()):
        pass
