#!/bin/sh
# Fuzzes each target for SECONDS, one after the other, from the build directory of a tree that was configured
# with --enable-fuzz:
#
#   tests/fuzz/run.sh SECONDS [TARGET...]
#
# What a target finds new goes to fuzz-work/TARGET/corpus, inputs that crash it (or take 10 s, or 1 GiB) to
# fuzz-work/TARGET/; then the end is 1 and the next target runs all the same.
set -u
seconds=${1:?how many seconds for each target?}
shift
source=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- $(cd "$source/corpus" && ls)
TMPDIR=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/orgsync-fuzz-run-XXXXXX") || exit 1
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM
failed=0
for target in "$@"; do
	work=fuzz-work/$target
	mkdir -p "$work/corpus"
	if [ ! -x "tests/fuzz/fuzz_$target" ]; then
		echo "$target: tests/fuzz/fuzz_$target is not built (make fuzzers)"
		failed=1
		continue
	fi
	"tests/fuzz/fuzz_$target" -max_total_time="$seconds" -rss_limit_mb=1024 -malloc_limit_mb=768 -timeout=10 \
		-max_len=8192 -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$work/" \
		"$work/corpus" "$source/corpus/$target" >"$work/log" 2>&1
	result=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
	coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$work/log" | tail -n 1)
	echo "$target: ${runs:-?} inputs in $seconds s, ${coverage:-?} edges, $([ $result -eq 0 ] && echo clean || echo FAILED)"
	if [ $result -ne 0 ]; then
		failed=1
		grep -E -A 12 'not so:|ERROR: |runtime error:' "$work/log" | head -n 30 | sed 's/^/    /'
		find "$work" -maxdepth 1 -name '*-*' | sed 's/^/    kept: /'
	fi
done
exit $failed
