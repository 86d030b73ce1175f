#!/bin/bash
# Installs Chromium and one font for the browser tests, when there is none and the user may install packages.
# The path that tests use is printed by: deploy/chromium.sh --path
set -euo pipefail

find_chromium() {
    local name
    for name in "${DESK_CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$name" ] && command -v "$name"; then
            return
        fi
    done
    return 1
}

if find_chromium >/dev/null; then
    [ "${1:-}" != --path ] || find_chromium
    exit 0
fi
[ "${1:-}" != --path ] || exit 1

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        echo "Chromium is missing and $(id -un) may not install it: run  apt-get install chromium fonts-dejavu-core  as root." >&2
        exit 1
    fi
    as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null; then
    echo "Chromium is missing: install it, or set DESK_CHROMIUM to its path." >&2
    exit 1
fi
echo "Installing Chromium for the browser tests" >&2
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null
find_chromium >/dev/null
