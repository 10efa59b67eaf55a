#!/bin/sh
# debian13.sh - builds and tests mailserverd in a tree of Debian 13: mbedTLS 3.6, TLS 1.3, gcc 14, Python 3.13.
#
#   [SUITES="quick system"] test/debian13.sh [TREE [RESULTS.xml]]
#
# TREE (default build-debian13 beside the sources) is made by debootstrap when it is not there, and used again; nothing outside
# it is written but RESULTS.xml. The suites run inside by chroot, on loopback. Needs root, debootstrap and a
# mirror (DEBIAN_MIRROR, default that of debootstrap); without them it says so and does nothing: exit status 77.
set -eu
cd "$(dirname "$0")/.."
source_dir=$PWD
tree=${1:-build-debian13}
results=${2:-}
suites=${SUITES:-quick system}
mirror=${DEBIAN_MIRROR:-}

skip() {
    echo "Debian 13: skipped: $1"
    exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root for chroot"
command -v unshare >/dev/null || skip "no command unshare"
if [ ! -f "$tree/etc/debian_version" ]; then
    command -v debootstrap >/dev/null || skip "no command debootstrap and no tree $tree"
    rm -rf "$tree.new"
    # shellcheck disable=SC2086 # no mirror, no word
    debootstrap --variant=minbase trixie "$tree.new" $mirror >"$tree.log" 2>&1 || {
        tail -3 "$tree.log"
        rm -rf "$tree.new"
        skip "no tree could be made (see $tree.log)"
    }
    mv "$tree.new" "$tree"
fi
tree=$(cd "$tree" && pwd)

# inside COMMAND: in the tree, with /proc, /dev and the sources (read-only). The mounts end with the command.
inside() {
    mkdir -p "$tree/srv/source"
    unshare --mount sh -eu -c '
        mount --bind "$2" "$1/srv/source" && mount -o remount,ro,bind "$1/srv/source"
        mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev"
        exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 MS_CHECK_MODE="$4" sh -eu -c "$3"
    ' sh "$tree" "$source_dir" "$1" "${MS_CHECK_MODE:-full}"
}

# The packages of `check`, and the tools of its tests that this release has.
build_packages=$(sed -n '/^build_packages="/,/"$/p' check | tr -d '"\n' | sed 's/build_packages=//')
test_packages="libcmocka-dev python3 python3-lmdb openssl curl man-db procps"
inside "for p in $(echo $build_packages $test_packages); do dpkg -s \$p >/dev/null 2>&1 || echo \$p; done" >"$tree/tmp/missing"
if [ -s "$tree/tmp/missing" ]; then
    cp /etc/resolv.conf "$tree/etc/resolv.conf" 2>/dev/null || true
    inside "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(tr '\n' ' ' <"$tree/tmp/missing")" \
        >"$tree/tmp/install.log" 2>&1 || {
        tail -3 "$tree/tmp/install.log"
        skip "packages could not be installed: $(tr '\n' ' ' <"$tree/tmp/missing")"
    }
fi

suite_args=
for suite in $suites; do
    suite_args="$suite_args --suite $suite"
done
inside "[ -f /srv/build/build.ninja ] || meson setup /srv/build /srv/source
    meson compile -C /srv/build"
status=0
inside "meson test -C /srv/build --no-rebuild --num-processes \$((\$(nproc) + 1)) --print-errorlogs --timeout-multiplier ${MS_PATIENCE:-3} $suite_args" || status=$?
[ -z "$results" ] || cp "$tree/srv/build/meson-logs/testlog.junit.xml" "$results" 2>/dev/null || true
exit $status
