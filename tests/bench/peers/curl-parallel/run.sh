#!/bin/sh
# curl's own parallel transfers, gzip undone, each page into a file: run.sh CA-FILE DIRECTORY AT-ONCE < URLS
set -eu
n=0
while read -r url; do
	n=$((n + 1))
	printf 'url = "%s"\noutput = "%s/%06d.json"\n' "$url" "$2" "$n"
done | curl --silent --show-error --fail --compressed --cacert "$1" --parallel --parallel-max "$3" --config -
