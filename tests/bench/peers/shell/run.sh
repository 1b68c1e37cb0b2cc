#!/bin/sh
# The pipeline of many a runbook: xargs, curl, jq, and a file for each organization's day. No order, no checks.
#   run.sh CA-FILE DIRECTORY AT-ONCE < URLS
set -eu
exec xargs -P "$3" -n 1 sh "$(dirname "$0")/page.sh" "$1" "$2"
