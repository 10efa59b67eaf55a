#!/bin/sh
# fuzz_run.sh TARGET CORPUS DICTIONARY ARTIFACTS - a short run of one libFuzzer target over its corpus.
# The corpus is only read: what the run finds goes to a folder of its own, which is removed. An input that fails stays
# in ARTIFACTS, with the name of the target in front; shrink it with -minimize_crash=1 and keep it in the corpus.
set -eu
target=$1 corpus=$2 dictionary=$3 artifacts=$4
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
[ -n "$(ls "$corpus")" ] || {
    echo "$corpus: empty" >&2
    exit 1
}
set -- -runs="${FUZZ_RUNS:-20000}" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$artifacts/$(basename "$target")-"
[ ! -f "$dictionary" ] || set -- "$@" -dict="$dictionary"
"$target" "$@" "$found" "$corpus" || exit 1 # libFuzzer's own status is 77, which meson would take for a test that was skipped
