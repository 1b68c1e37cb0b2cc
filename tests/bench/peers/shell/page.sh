#!/bin/sh
# page.sh CA-FILE DIRECTORY URL: one page, its events appended to the files of their days.
curl --silent --show-error --fail --compressed --cacert "$1" "$3" | jq -c '.results[]' |
	awk -v to="$2/$(basename "$(dirname "$3")")-" '
		match($0, /"created":"[0-9-]+T/) { print >> (to substr($0, RSTART + 11, 10) ".ndjson") }'
