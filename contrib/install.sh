#!/bin/sh
# SPDX-License-Identifier: ISC
#
# install.sh: what "make install" does; variables come from build.mk.
# Everything below DESTDIR; the configuration is never overwritten.

set -eu
: "${DESTDIR=}" "${O:=.}"
system=${SYSTEM:-$(uname -s)}

planted=$(sed -n 's/^#define PLANTED "\(.*\)"$/\1/p' "$O/planted.h")
if [ -n "$planted" ]; then
	echo "install: this build is planted with the defect $planted;" \
	    "it is for tests only" >&2
	exit 1
fi

# The program knows one place only.
built=$(sed -n 's/^#define SYSCONFDIR "\(.*\)"$/\1/p' "$O/config.h")
if [ "$SYSCONFDIR" != "$built" ]; then
	again="./configure --sysconfdir=$SYSCONFDIR"
	[ "$O" = . ] || again="$again --objdir=$O"
	echo "install: SYSCONFDIR=$SYSCONFDIR: this build looks in $built;" \
	    "first: $again" >&2
	exit 1
fi

if grep -q '^#define TUNNELD_PROBES' "$O/config.h"; then
	echo "install: a build with probes is for tests only: its sandbox" \
	    "can be switched off; first: ./configure" >&2
	exit 1
fi

put() {		# mode, file, destination
	mkdir -p "$DESTDIR$(dirname "$3")"
	install -m "$1" "$2" "$DESTDIR$3"
	echo "$DESTDIR$3"
}

# Service files name the installed paths.
put_edited() {	# mode, file, destination
	edited=$(mktemp)
	sed -e "s,/usr/local/sbin,$SBINDIR,g" \
	    -e "s,/etc/tunneld\\.conf,$SYSCONFDIR/tunneld.conf,g" \
	    "$2" >"$edited"
	put "$1" "$edited" "$3"
	rm -f "$edited"
}

put 755 "$O/tunneld/tunneld" "$SBINDIR/tunneld"
put 755 "$O/tunnelctl/tunnelctl" "$SBINDIR/tunnelctl"
for page in man/*.[1-9]; do
	put 644 "$page" "$MANDIR/man${page##*.}/${page##*/}"
done

conf=$SYSCONFDIR/tunneld.conf
if [ -e "$DESTDIR$conf" ] || [ -L "$DESTDIR$conf" ]; then
	echo "$DESTDIR$conf: kept"
else
	put 640 etc/tunneld.conf "$conf"
fi
for example in etc/*.conf; do
	put 644 "$example" "$PREFIX/share/examples/tunneld/${example##*/}"
done

case $system in
OpenBSD)
	put_edited 555 contrib/rc.d/tunneld /etc/rc.d/tunneld
	;;
Linux)
	put_edited 644 contrib/systemd/tunneld.service \
	    "$PREFIX/lib/systemd/system/tunneld.service"
	put 644 contrib/sysusers.d/tunneld.conf \
	    "$PREFIX/lib/sysusers.d/tunneld.conf"
	;;
esac

# Not when making a package: then it is the package's business.
if [ -z "$DESTDIR" ] && ! id _tunneld >/dev/null 2>&1; then
	echo "The user _tunneld does not exist yet." \
	    "Started as root, tunneld needs it:"
	case $system in
	OpenBSD)
		echo "    useradd -s /sbin/nologin -d /var/empty _tunneld"
		;;
	*)	cat <<-END
		    systemd-sysusers $PREFIX/lib/sysusers.d/tunneld.conf
		or
		    useradd --system --no-create-home --shell /usr/sbin/nologin _tunneld
		END
		;;
	esac
fi
