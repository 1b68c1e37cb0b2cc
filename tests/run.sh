#!/bin/sh
# Builds orgsync three times, runs every test, and lets every other tool look for faults:
#
#   build/normal   as released, warnings as errors                          make check
#   build/asan     AddressSanitizer, LeakSanitizer, UBSan; lines counted    make check, make coverage
#   build/tsan     ThreadSanitizer                                          make check-threads
#   cppcheck, gcc's analyzer and clang-tidy over the sources; valgrind over some of the tests
#
# What needs no quiet machine is done beside the tests, with what they leave of the processors. Ends with one line
# `N passed, N failed, N skipped`, and with 0 only where nothing failed. Missing Debian packages are installed first.
# What was built stays in build/, so a second run is quicker. ORGSYNC_JOBS says how many things run at once (as many
# as there are processors). The long forms of the tests are `make check-long`'s.
set -u
cd "$(dirname "$0")/.." || exit 1
top=$(pwd)
jobs=${ORGSYNC_JOBS:-$(nproc 2>/dev/null || echo 2)}
logs=$top/build/logs
passed=0 failed=0 skipped=0 background=
unset MAKEFLAGS MAKELEVEL MFLAGS ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS CK_FORK CK_RUN_CASE CK_RUN_SUITE
# libcheck ends a test after 4 s, which a slow disk, a sanitizer or a busy machine can pass without any fault.
export LC_ALL=C.UTF-8 MAKEFLAGS='' CK_TIMEOUT_MULTIPLIER=30

now() { date +%s; }

# phase NAME COMMAND...: runs the command with its output in build/logs, prints one line with the time.
phase()
{
	phase_name=$1 phase_log=$logs/$(echo "$1" | tr ' /' '--').log
	shift
	phase_start=$(now)
	printf '%-28s' "$phase_name"
	"$@" </dev/null >"$phase_log" 2>&1
	phase_result=$?
	printf '%4d s  %s\n' "$(($(now) - phase_start))" "$([ $phase_result -eq 0 ] && echo ok || echo FAILED)"
	return $phase_result
}

# beside NAME COMMAND...: as phase, but silent, and what came of it is left for collect. For the background.
beside()
{
	beside_log=$logs/$(echo "$1" | tr ' /' '--').log
	beside_start=$(now)
	shift
	"$@" </dev/null >"$beside_log" 2>&1
	echo "$? $(($(now) - beside_start))" >"$beside_log.part"
	mv "$beside_log.part" "$beside_log.result"
}

# collect NAME: waits for what is done beside, and prints its line: the seconds in brackets are not ours.
collect()
{
	phase_log=$logs/$(echo "$1" | tr ' /' '--').log
	until [ -f "$phase_log.result" ] || ! kill -0 "$background" 2>/dev/null; do
		sleep 0.2
	done
	phase_result=1 phase_seconds=?
	[ -f "$phase_log.result" ] && read -r phase_result phase_seconds <"$phase_log.result"
	printf '%-28s%6s    %s\n' "$1" "($phase_seconds)" "$([ "$phase_result" -eq 0 ] && echo ok || echo FAILED)"
	return "$phase_result"
}

# tool NAME [LINES]: what a tool that looks at the sources found counts as one test; its last LINES are shown.
tool()
{
	if collect "$1"; then
		passed=$((passed + 1))
		[ $# -lt 2 ] || tail -n "$2" "$phase_log" | sed 's/^/    /'
	else
		failed=$((failed + 1))
		tail -n 40 "$phase_log" | sed 's/^/    /'
	fi
}

skip()
{
	skipped=$((skipped + 1))
	printf '%-28s%6s    skipped: %s\n' "$1" '' "$2"
}

finish()
{
	[ -z "$background" ] || kill "$background" 2>/dev/null
	echo "$((passed + failed + skipped)) tests in $(($(now) - start)) s; logs in build/"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

# Something no test can be run without: counted as one failure, shown, and the end.
give_up()
{
	failed=$((failed + 1))
	echo "--- $phase_log"
	grep -E -n 'error:|undefined reference|warning:' "$phase_log" | tail -n 30 | sed 's/^/    /'
	echo '--- its last lines'
	tail -n 15 "$phase_log" | sed 's/^/    /'
	finish
}

# configure_in DIRECTORY FLAGS...: only where it was not configured just so before.
configure_in()
{
	directory=$top/build/$1
	shift
	if [ ! -f "$directory/Makefile" ] || [ "$(cat "$directory/.configured" 2>/dev/null)" != "$directory $*" ]; then
		rm -rf "$directory"
		mkdir -p "$directory"
		(cd "$directory" && "$top/configure" -q "$@") || return 1
		echo "$directory $*" >"$directory/.configured"
	fi
}

# build NAME TARGET FLAGS...
build()
{
	build_name=$1 build_target=$2
	shift 2
	configure_in "$build_name" "$@" && make -C "build/$build_name" -s -j"$jobs" all &&
		make -C "build/$build_name" -s -j"$jobs" "$build_target"
}

# run_tests NAME TARGET: what an earlier run left is removed first, so that only this run is counted.
run_tests()
{
	find "build/$1" \( -name '*.trs' -o -name '*.log' -o -name '*.gcda' \) ! -name config.log -exec rm -f {} +
	timeout 600 make -C "build/$1" -k -j"$jobs" "$2"
}

# count NAME: adds the numbers of every test program of build/NAME, and shows what failed. A program says
# how much it tested by libcheck's line or by a closing line; one that says nothing counts as one test. One
# that ends badly and blames no test of its own (a crash, a leak at the end) is one failure more.
count()
{
	count_before=$failed
	for trs in $(find "build/$1" -name '*.trs' | sort); do
		result=$(sed -n 's/^:global-test-result: *//p' "$trs")
		numbers=$(awk -v result="$result" '
			/^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ {
				gsub(/[^0-9 ]/, " "); said = 1; p += $2 - $3 - $4; f += $3 + $4
			}
			/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { said = 1; p += $1; f += $3; s += $5 }
			END {
				if (!said && result == "PASS") p = 1
				if (!said && result == "SKIP") s = 1
				if (result != "PASS" && result != "SKIP" && f == 0) f = 1
				print p + 0, f + 0, s + 0
			}' "${trs%.trs}.log")
		# shellcheck disable=SC2086 # three words
		set -- "$1" $numbers
		passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
		[ "$3" -eq 0 ] || show_failure "${trs%.trs}.log"
	done
	if [ "$tests_result" -ne 0 ] && [ "$failed" -eq "$count_before" ]; then
		failed=$((failed + 1))
		echo "--- build/$1: make ended with $tests_result, and no test says why"
		tail -n 30 "$phase_log" | sed 's/^/    /'
	fi
}

# Indented, so that no line of it can be taken for the last one.
show_failure()
{
	echo "--- $1"
	if grep -E -q '^(FAIL|ERROR): |:[FE]:|Sanitizer|runtime error:' "$1"; then
		grep -E -A 40 '^(FAIL|ERROR): |:[FE]:|ERROR: .*Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$1" | head -n 120
	else
		tail -n 40 "$1"
	fi | sed 's/^/    /'
}

# test_phase TITLE NAME TARGET
test_phase()
{
	phase "$1" run_tests "$2" "$3"
	tests_result=$?
	count "$2"
}

# Whether a program built with these flags runs here at all: some machines and containers forbid what a
# sanitizer does (leak search needs ptrace, ThreadSanitizer an address space it knows).
sanitizer_runs()
{
	printf 'int main(void) { return 0; }\n' >build/probe.c
	${CC:-cc} "$1" -o build/probe build/probe.c >/dev/null 2>&1 && shift && "$@" build/probe >/dev/null 2>&1
}

cpp_check()
{
	mkdir -p build/cppcheck
	cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --error-exitcode=1 \
		--inline-suppr --suppressions-list=tests/cppcheck.suppressions --cppcheck-build-dir=build/cppcheck \
		-j "$jobs" -I . -D_GNU_SOURCE -D__linux__ -U__FreeBSD__ lib workers cmd tests
}

# The tests of the archive make tens of thousands of files durable; in memory that costs a third of the time.
# Nothing they look for depends on the disk: what they stop is the program, not the machine.
scratch_in_memory()
{
	[ -z "${TMPDIR-}" ] && [ -d /dev/shm ] && [ -w /dev/shm ] || return 0
	[ "$(stat -f -c %T /dev/shm)" = tmpfs ] || return 0
	[ "$(df -Pk /dev/shm | awk 'NR == 2 { print $4 }')" -gt 1000000 ] || return 0
	export TMPDIR=/dev/shm
}

start=$(now)
mkdir -p "$logs"
examples/install-packages.sh --tests || { failed=1; finish; }
if [ ! -x configure ] || [ ! -f Makefile.in ] || [ ! -f build-aux/missing ] || [ ! -f config.h.in ]; then
	phase 'autogen' ./autogen.sh || give_up
fi

scratch_in_memory

# The versions whose findings were gone through: others see other things, and some that are not there.
version_of() { "$@" --version 2>/dev/null | sed -n 's/.*[ -]\([0-9][0-9]*\)\.[0-9.]*.*/\1/p' | head -n 1; }
gcc_version=$(version_of "${CC:-cc}") tidy_version=$(version_of clang-tidy)
"${CC:-cc}" --version 2>/dev/null | grep -q 'Free Software' || gcc_version=none

sanitizer_runs -fsanitize=address env ASAN_OPTIONS=detect_leaks=1 && leaks=1 || leaks=0
if sanitizer_runs -fsanitize=thread env; then
	tsan=
elif sanitizer_runs -fsanitize=thread setarch -R; then
	tsan='setarch -R' # gcc 12's runtime against a kernel with more address randomization than it knows
else
	tsan=no
fi

# In this order, one after the other.
in_the_background()
{
	export MAKEFLAGS=
	beside 'build with ASan, UBSan' build asan check-programs --enable-werror --enable-asan --enable-coverage CFLAGS='-O1 -g'
	[ "$tsan" = no ] ||
		beside 'build with TSan' build tsan check-threads-programs --enable-werror --enable-tsan CFLAGS='-O1 -g'
	beside 'cppcheck' cpp_check
	[ "$gcc_version" != 12 ] || beside "gcc's analyzer" make -C build/normal -s analyze
	# The whole of it takes five times as long: make check-long.
	[ "$tidy_version" != 14 ] || ORGSYNC_TIDY_NODES=20000 beside 'clang-tidy' make -C build/normal -s tidy
	until [ -f "$logs/normal-is-done" ]; do sleep 0.2; done
	[ "$valgrind" = no ] || beside 'valgrind' run_tests normal check-valgrind-quick
	[ "$valgrind" = no ] || beside 'instructions an event' make -C build/normal -s bench-quick
}

valgrind --version >/dev/null 2>&1 && valgrind=yes || valgrind=no
rm -f "$logs"/*.result "$logs/normal-is-done"
phase 'build' build normal check-programs --enable-werror || give_up
export ORGSYNC_JOBS="$jobs"
(exec >/dev/null 2>&1; renice -n 19 -p "$(exec sh -c 'echo $PPID')"; in_the_background) &
background=$!
trap 'kill "$background" 2>/dev/null' EXIT
trap 'exit 130' INT TERM

test_phase 'tests' normal check
python3 tests/tools/cases.py build/normal >"$logs/cases" 2>&1
: >"$logs/normal-is-done"

collect 'build with ASan, UBSan' || give_up
[ $leaks = 1 ] || echo '  (leaks are not looked for: ptrace is forbidden here)'
export ASAN_OPTIONS=detect_leaks=$leaks:exitcode=99
# All of them were played above; under the sanitizers a part of them finds what these look for.
export ORGSYNC_TEST_PART=3
test_phase 'tests with ASan, UBSan' asan check
unset ORGSYNC_TEST_PART
beside 'line coverage' make -C build/asan -s coverage
tool 'line coverage' 1

if [ "$tsan" = no ]; then
	skip 'threaded tests with TSan' 'ThreadSanitizer does not run here'
else
	collect 'build with TSan' || give_up
	test_phase 'threaded tests with TSan' tsan check-threads
fi

tool 'cppcheck'
if [ "$gcc_version" = 12 ]; then tool "gcc's analyzer"; else skip "gcc's analyzer" 'gcc 12 is wanted'; fi
if [ "$tidy_version" = 14 ]; then tool 'clang-tidy'; else skip 'clang-tidy' 'clang-tidy 14 is wanted'; fi
if [ "$valgrind" = no ]; then
	skip 'valgrind' 'it is not installed'
else
	collect 'valgrind'
	tests_result=$phase_result
	count normal
	tool 'instructions an event' 4
fi

echo 'cases played in the plain build:'
sed 's/^/    /' "$logs/cases"
finish
