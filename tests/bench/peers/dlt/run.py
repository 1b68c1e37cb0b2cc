#!/usr/bin/env python3
"""dlt's REST source, one resource an organization, pages by number, into lines of JSON: run.py CA-FILE DIRECTORY
AT-ONCE < URLS. What dlt calls normalizing (child tables) is off; compression too.   pip install 'dlt[filesystem]'
"""
import collections
import os
import sys

os.environ["REQUESTS_CA_BUNDLE"] = sys.argv[1]
os.environ["DLT_DATA_DIR"] = os.environ["DLT_PROJECT_DIR"] = os.path.join(sys.argv[2], ".dlt")
os.environ["DESTINATION__FILESYSTEM__BUCKET_URL"] = "file://" + os.path.join(sys.argv[2], "out")
os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"
os.environ["EXTRACT__MAX_PARALLEL_ITEMS"] = os.environ["EXTRACT__WORKERS"] = sys.argv[3]
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt
from dlt.sources.rest_api import rest_api_source

pages = collections.Counter()
for line in sys.stdin:
    base, organization, _ = line.strip().rsplit("/", 2)
    pages[organization] += 1
source = rest_api_source({
    "client": {"base_url": base + "/by-number/"},
    "resource_defaults": {"max_table_nesting": 0, "parallelized": True, "write_disposition": "append"},
    "resources": [{
        "name": organization,
        "endpoint": {"path": organization, "data_selector": "results", "paginator": {
            "type": "page_number", "base_page": 1, "page_param": "page", "total_path": None,
            "maximum_page": n + 1}},
    } for organization, n in pages.items()],
})
dlt.pipeline("orgsync_bench", destination="filesystem", dataset_name="events").run(
    source, loader_file_format="jsonl")
