#!/bin/sh
# From a fresh clone to a dozen archives, in one command and without an Atlas account.
#
# Installs the Debian packages that are missing, builds orgsync in build/quickstart, starts a simulated
# Atlas on this machine with a year of invented history, fetches it into ./demo/ and proves that the
# archives hold exactly what the simulation holds. Run again, it keeps ./demo/ and fetches only what is
# not there yet, which is nothing; `rm -r demo` starts afresh.
set -eu
umask 077
cd "$(dirname "$0")/.."
top=$(pwd)
demo=$top/demo
build=$top/build/quickstart
log=$top/build/quickstart.log
organizations=12
sandbox_pid=

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi

say() { printf '\n%s==> %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; "$@"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

stop_sandbox()
{
	[ -z "$sandbox_pid" ] || kill "$sandbox_pid" 2>/dev/null || true
	[ -z "$sandbox_pid" ] || wait "$sandbox_pid" 2>/dev/null || true
	sandbox_pid=
}
trap stop_sandbox EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build_all()
{
	[ -x configure ] && [ -f Makefile.in ] && [ -f build-aux/missing ] && [ -f config.h.in ] || ./autogen.sh || return 1
	if [ "$(cat "$build/.configured" 2>/dev/null)" != "$build" ]; then
		rm -rf "$build"
		mkdir -p "$build"
		(cd "$build" && "$top/configure" -q CFLAGS=-O2) || return 1
		echo "$build" >"$build/.configured"
	fi
	make -C "$build" -s -j"$(nproc 2>/dev/null || echo 2)" all
}

say "Packages and build"
examples/install-packages.sh
mkdir -p build
started=$(date +%s)
if ! build_all </dev/null >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	fail "the build failed; all of it is in $log"
fi
orgsync=$build/cmd/orgsync/orgsync
sandbox=$build/atlas-sandbox
echo "built in $(($(date +%s) - started)) s: $("$orgsync" --version | head -n 1)"

# The history ends some minutes before the first run and stays as it is, so that a second run can be
# held against the very same events.
mkdir -p "$demo"
if [ ! -s "$demo/.period" ]; then
	end=$(($(date +%s) - 900))
	printf '%s %s %s\n' "$(date -u -d "@$((end - 365 * 86400))" +%Y-%m-%dT00:00:00Z)" \
		"$(date -u -d "@$end" +%Y-%m-%dT%H:%M:%SZ)" \
		"$(date -u -d "@$((end - 40 * 86400))" +%Y-%m-%dT10:15:30Z)" >"$demo/.period"
fi
read -r from to burst <"$demo/.period"
set -- --organizations $((organizations + 1)) --seed 12 --from "$from" --to "$to" --events 300..6000 \
	--credentials mixed --latency 20 --fault 500:0.02 --order changing \
	--org "3:burst=$burst/1700" --org every/4:created=ms --org "$((organizations + 1)):refuse=bad-key"

say "A simulated Atlas with $organizations organizations, on this machine only"
port=$(cat "$demo/.port" 2>/dev/null || echo 0)
for port in "$port" 0; do
	"$sandbox" "$@" --port "$port" >"$demo/sandbox.log" 2>&1 &
	sandbox_pid=$!
	tries=100
	while ! grep -q '^listening on ' "$demo/sandbox.log" && kill -0 "$sandbox_pid" 2>/dev/null && [ $tries -gt 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
	url=$(sed -n 's/^listening on //p' "$demo/sandbox.log")
	[ -z "$url" ] || break
	stop_sandbox
done
[ -n "$url" ] || fail "the sandbox did not start: $(cat "$demo/sandbox.log")"
echo "${url##*:}" >"$demo/.port"
echo "$url: API keys and service accounts, a second with 1,700 events, a server error now and then"

# One organization's key is refused on purpose; it gets a configuration of its own.
ln -sfn "$orgsync" "$demo/orgsync"
"$sandbox" "$@" --print config --url "$url" --secrets-dir "$demo/secrets" --directory "$demo/archives" >"$demo/.all.yaml"
refused=$(printf 'org%04d' $((organizations + 1)))
awk -v name="$refused" '/^  - name: / { skip = $3 == name } !skip' "$demo/.all.yaml" >"$demo/orgsync.yaml"
awk -v name="$refused" '/^  - name: / { skip = $3 != name } !skip' "$demo/.all.yaml" >"$demo/refused.yaml"
rm "$demo/.all.yaml"
{
	echo '#!/bin/sh'
	echo '# The simulated Atlas that demo/orgsync.yaml points at. Ctrl-C ends it.'
	printf 'exec %s' "'$sandbox'"
	printf " '%s'" "$@" --port "${url##*:}"
	echo
} >"$demo/start-sandbox"
chmod +x "$demo/start-sandbox"

cd "$demo"
say "The configuration is demo/orgsync.yaml, its secrets are in demo/secrets"
show ./orgsync config validate

say "Fetch everything"
show ./orgsync sync
echo
show ./orgsync status

say "The first lines of one archive, cut to 80 columns"
day=$(find archives/org0001/events -name '*.ndjson' -size +3k | sort | head -n 1)
show ls "$(dirname "$day")" | head -n 4
show head -n 4 "$day" | cut -c1-80

say "Proof: each archive against what the simulation says it holds"
events=0
for name in $(sed -n 's/^  - name: //p' orgsync.yaml); do
	"$sandbox" "$@" --print events "$name" >.expected
	find "archives/$name/events" -name '*.ndjson' | sort | xargs cat >.found
	cmp .expected .found >&2 || fail "the archive of $name is not what it should be (rm -r demo starts afresh)"
	[ -z "$("$sandbox" "$@" --print ids "$name" | sort | uniq -d)" ] || fail "the simulation repeats an id"
	events=$((events + $(wc -l <.found)))
done
rm -f .expected .found
echo "$organizations organizations, $events events: every id present exactly once, every byte as it was sent"

say "What a refused key looks like (in a run with others, those go on and the exit code is 3)"
code=0
show ./orgsync -c refused.yaml sync || code=$?
echo "exit code $code"
[ "$code" -eq 12 ] || fail "12 was expected"

stop_sandbox
say "What next"
cat <<END
The simulation has been stopped. In demo/, offline:
    ./orgsync verify                    every file against its ledger
    ./orgsync status --json
    ./orgsync --help
With ./start-sandbox running in another terminal:
    ./orgsync plan                      what a run would fetch
    ./orgsync sync                      nothing new: it is all there
    rm -r archives/org0007; ./orgsync sync
With your own organizations (README.md says more):
    sudo make -C build/quickstart install
    orgsync config init orgsync.yaml
END
