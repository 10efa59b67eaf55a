# packages.sh - sourced by check, quickstart: installs missing Debian packages. Needs root or sudo only when one is missing.
install_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "== installing:$missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "$0: these packages are missing and need root to install:$missing" >&2
            exit 77
        }
        sudo=sudo
    fi
    $sudo apt-get update -qq >/dev/null 2>&1 || true
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
        echo "$0: apt-get could not install:$missing" >&2
        exit 69
    }
}
