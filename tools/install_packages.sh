#!/bin/sh
# Installs what is missing of the Debian packages in packages.txt.
#
#   tools/install_packages.sh [SECTION]...     (build, test, neon, lint when none is named)
#
# Silent when nothing is missing. Needs root, or sudo.
set -eu

list=$(dirname "$0")/../packages.txt
sections=${*:-build test neon lint}

talk() { echo "install_packages: $*" >&2; }

# A section starts with a comment "# name" or "# name: why", and ends where the next one starts.
packages_of() {
    awk -v section="$1" '
        /^#/ { split($2, word, ":"); active = word[1] == section; next }
        NF && active { print $1 }' "$list"
}

wanted=$(for section in $sections; do packages_of "$section"; done)
if [ -z "$wanted" ]; then
    talk "packages.txt has no section among: $sections"
    exit 2
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    talk "this is not a Debian system, so nothing is installed; packages.txt lists what is needed"
    exit 0
fi

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        talk "these packages are missing:$missing"
        talk "run as root, or install sudo, or ask an administrator to install them"
        exit 1
    fi
    as_root=sudo
fi

talk "installing$missing"
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" >&2; }
apt update
# shellcheck disable=SC2086  # a list of words
apt install -y --no-install-recommends $missing
