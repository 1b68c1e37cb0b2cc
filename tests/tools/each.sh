#!/bin/sh
# Looks at every C file of the program with one tool, several files at once:
#
#   tests/tools/each.sh tidy|analyze [FILE...]     from the top of the tree; no FILE: all of lib, workers and cmd
#
#   tidy      clang-tidy with the checks of .clang-tidy
#   analyze   the analyzer of gcc (-fanalyzer)
#
# FLAGS holds what a compiler wants to know; `make tidy` and `make analyze` give it. ORGSYNC_JOBS says how many files
# at once (as many as there are processors). ORGSYNC_TIDY_NODES=N bounds the ways that clang's analyzer follows
# through one function: 20000 takes a fifth of the time. Ends with `N files, M with findings`, and with 0 where M is
# none.
#
# What gcc 12's analyzer is not asked, because it does not know better in C:
#   malloc-leak                  takes memory for lost that a list or a table behind a pointer holds; ASan, valgrind
#                                and tests/crash/test_alloc look for leaks, and clang's analyzer does
#   use-of-uninitialized-value   forgets that calloc() cleared an array once an element of it has been written
set -u
tool=${1:?tidy or analyze?}
shift
: "${FLAGS?what the compiler is to be told}"

# One file: silent where nothing is found.
if [ "$tool" = one ]; then
	case $1 in
	# shellcheck disable=SC2086 # FLAGS is a list of words
	tidy)    said=$("${CLANG_TIDY:-clang-tidy}" -quiet "$2" -- $FLAGS -Xclang -analyzer-config \
	                -Xclang "max-nodes=${ORGSYNC_TIDY_NODES:-225000}" 2>&1) ;;
	# shellcheck disable=SC2086
	analyze) said=$("${CC:-gcc}" -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value \
	                -Werror -O2 -g -c -o /dev/null $FLAGS "$2" 2>&1) ;;
	esac && exit 0
	printf '%s\n' "$said"
	echo "--- $1: $2"
	exit 1
fi

case $tool in
tidy | analyze) ;;
*) echo "usage: $0 tidy|analyze [FILE...]" >&2; exit 2 ;;
esac
[ $# -gt 0 ] || set -- $(find lib workers cmd -name '*.c' | sort)
export FLAGS
out=$(mktemp "${TMPDIR:-/tmp}/orgsync-each-XXXXXX") || exit 2
trap 'rm -f "$out"' EXIT
printf '%s\n' "$@" | xargs -P "${ORGSYNC_JOBS:-$(nproc 2>/dev/null || echo 2)}" -n 1 sh "$0" one "$tool" >"$out" 2>&1
result=$?
cat "$out"
echo "$# files, $(grep -c "^--- $tool: " "$out") with findings"
exit $result
