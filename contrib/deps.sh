#!/bin/sh
# SPDX-License-Identifier: ISC
#
# deps.sh build|regress: install the Debian packages that
# building and the demo, or the tests too, need.  A user gets the line to run
# instead, and exit code 1 when something is missing.  Never asks.

set -eu

build="gcc libc6-dev make pkg-config byacc
	libevent-dev libbsd-dev libmd-dev libc-ares-dev curl"
regress="libcmocka-dev bison bmake clang libclang-rt-dev clang-tidy mandoc
	shellcheck python3 python3-websockets procps openssl openssh-server
	openssh-client nginx-light haproxy websockify lighttpd"

case ${1-} in
build)		want=$build target=deps ;;
regress)
		want="$build $regress" target=deps-regress ;;
*)		echo "usage: deps.sh build|regress" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
	# Not Debian: configure looks for what it needs and names it.
	exit 0
fi

installed() {
	case $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) in
	ii*|hi*) return 0 ;;
	esac
	return 1
}
missing=
for p in $want; do
	installed "$p" || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	cat >&2 <<-END
	missing packages:$missing
	To install them, as root:
	    make $target
	or
	    apt-get install --no-install-recommends$missing
	END
	exit 1
fi

# The test peers are run by the tests, on their own ports.  Their packages
# would start them as services (an sshd and a web server open to the network,
# maybe on ports in use): policy-rc.d forbids that while they are installed.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
ours=
cleanup() {
	[ -z "$ours" ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
if [ "$1" = regress ] && [ ! -e "$policy" ]; then
	ours=1
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
get() {
	# shellcheck disable=SC2086
	apt-get install -q -y --no-install-recommends \
	    -o Dpkg::Options::=--force-confold \
	    -o Dpkg::Options::=--force-confdef $missing </dev/null
}
echo "installing:$missing"
# Fresh lists only if the ones here do not do.
if ! get; then
	apt-get update -q </dev/null
	get
fi

# Nor may those we brought start at the next boot.
if command -v systemctl >/dev/null 2>&1; then
	for p in $missing; do
		case $p in
		openssh-server)	unit="ssh.service ssh.socket" ;;
		nginx-light)	unit=nginx.service ;;
		haproxy)	unit=haproxy.service ;;
		websockify)	unit=websockify.service ;;
		lighttpd)	unit=lighttpd.service ;;
		*)		continue ;;
		esac
		# shellcheck disable=SC2086
		systemctl --quiet disable $unit >/dev/null 2>&1 || :
	done
fi
