#!/bin/sh
# dovecot.sh FOLDER - downloads Dovecot from Debian's archive and unpacks it into FOLDER/root, beside this machine's own files:
# nothing is installed, no service is started. Libraries that this machine has not come along. A folder that is complete is left
# as it is. Exit status 69: the packages cannot be had.
set -eu
folder=${1:?usage: dovecot.sh FOLDER}
packages="dovecot-core dovecot-imapd dovecot-lmtpd"
[ ! -f "$folder/complete" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    echo "dovecot.sh: no apt-get and dpkg-deb here" >&2
    exit 69
}
mkdir -p "$folder/archives" "$folder/root"
cd "$folder/archives"
for library in $(apt-cache depends dovecot-core dovecot-imapd dovecot-lmtpd | sed -n 's/^ *Depends: \(lib[^<>]*\)$/\1/p' | sort -u); do
    dpkg-query -W -f='${Status}' "$library" 2>/dev/null | grep -q 'ok installed' || packages="$packages $library"
done
fetch() {
    # shellcheck disable=SC2086 # a list of words
    apt-get -o APT::Sandbox::User=root download $packages >../download.log 2>&1
}
# The lists of packages may be older than the archive: then once more with new ones, where this user may.
fetch || { apt-get update -qq >/dev/null 2>&1 && fetch; } || {
    echo "dovecot.sh: apt-get could not download $packages:" >&2
    cat ../download.log >&2
    exit 69
}
for archive in ./*.deb; do
    dpkg-deb -x "$archive" ../root
done
rm -rf ../archives
touch ../complete
