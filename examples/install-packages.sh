#!/bin/sh
# Installs the Debian or Ubuntu packages that building orgsync needs and that are missing.
#
#   examples/install-packages.sh           what building and running needs
#   examples/install-packages.sh --tests   and what the tests need; large tools that only look for faults are
#                                          tried, and passed over where they cannot be had
#
# Nothing is asked of apt when nothing is missing. As root it calls apt-get itself, otherwise through
# sudo, and says so first. It never removes a package. Elsewhere than on Debian and its kin it says
# which libraries are wanted and leaves the rest to ./configure.
set -eu

BUILD="autoconf automake gcc libc6-dev make pkg-config ca-certificates
	libcurl4-openssl-dev libdeflate-dev libjansson-dev libmicrohttpd-dev libssl-dev libyaml-dev libzstd-dev zlib1g-dev"
TESTS="check cppcheck openssl python3 zstd"
TOOLS="clang-tidy valgrind"

case ${1-} in
"")      wanted=$BUILD liked= ;;
--tests) wanted="$BUILD $TESTS" liked=$TOOLS ;;
*)       echo "usage: $0 [--tests]" >&2; exit 2 ;;
esac

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
	echo "No apt here. Wanted are a C compiler, make, autoconf, automake, pkg-config and the development" >&2
	echo "files of libcurl, libdeflate, jansson, libmicrohttpd, OpenSSL, libyaml, zstd and zlib; for the tests check," >&2
	echo "cppcheck, openssl, python3 and zstd. ./configure will say what it does not find." >&2
	exit 0
fi

not_there()
{
	for package in "$@"; do
		status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=
		[ "$status" = installed ] || printf ' %s' "$package"
	done
}
# shellcheck disable=SC2086 # lists of words, here and below
missing=$(not_there $wanted)
# shellcheck disable=SC2086
missing_tools=$(not_there $liked)
[ -n "$missing$missing_tools" ] || exit 0

install="apt-get install -y --no-install-recommends --no-remove$missing"
if [ "$(id -u)" -eq 0 ]; then
	as_root=
	echo "Installing packages:$missing$missing_tools"
elif command -v sudo >/dev/null 2>&1; then
	as_root=sudo
	echo "Installing packages through sudo:$missing$missing_tools"
elif [ -z "$missing" ]; then
	echo "Not installed, for want of root or sudo:$missing_tools" >&2
	exit 0
else
	echo "Packages are missing, and there is neither root nor sudo to install them. As root, run:" >&2
	echo "  apt-get update && $install" >&2
	exit 1
fi

log=$(mktemp "${TMPDIR:-/tmp}/orgsync-apt.XXXXXX")
trap 'rm -f "$log"' EXIT
apt()
{
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
		-o Acquire::Languages=none -o Acquire::Retries=3 "$@" </dev/null >>"$log" 2>&1
}
# A failed update is told only when the installation fails too: what is needed may be known already.
apt update || true
# shellcheck disable=SC2086 # a list of words
if [ -n "$missing" ] && ! apt install -y --no-install-recommends --no-remove $missing; then
	tail -n 30 "$log" >&2
	echo >&2
	echo "The packages could not be installed. What was tried, to be repeated by hand as root:" >&2
	echo "  apt-get update && $install" >&2
	exit 1
fi
# shellcheck disable=SC2086
if [ -n "$missing_tools" ] && ! apt install -y --no-install-recommends --no-remove $missing_tools; then
	echo "These could not be installed; what they look for is not looked for:$missing_tools" >&2
fi
