#!/bin/sh
# Makes a virtual environment with a suitable interpreter and installs what development needs.
# Usage: bootstrap.sh FOLDER
set -eu

venv=$1

# An interpreter is suitable when it runs (a version manager's shim may not), is 3.12 or newer and can make environments.
suits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

# PYTHON if given; then what is on PATH; then the folders of version managers; 3.12 first, as it is the platform's.
candidates() {
    [ -z "${PYTHON:-}" ] || echo "$PYTHON"
    for version in 3.12 3.13 3.14; do
        echo "python$version"
        for folder in "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions" "${ASDF_DATA_DIR:-${HOME:-}/.asdf}/installs/python" \
            "${MISE_DATA_DIR:-${HOME:-}/.local/share/mise}/installs/python" "${UV_PYTHON_INSTALL_DIR:-${HOME:-}/.local/share/uv/python}" \
            /opt/homebrew/bin /usr/local/bin; do
            for path in "$folder"/"$version"*/bin/python3 "$folder"/*"-$version"*/bin/python3 "$folder/python$version"; do
                [ ! -x "$path" ] || echo "$path"
            done
        done
    done
    echo python3
    echo python
}

if [ -n "${PYTHON:-}" ] && ! suits "$PYTHON"; then
    echo "PYTHON=$PYTHON does not run, is older than 3.12, or cannot make environments." >&2
    exit 1
fi

found=
for candidate in $(candidates); do
    if suits "$candidate"; then
        found=$candidate
        break
    fi
done

rm -f "$venv/.ready"
if [ -n "$found" ]; then
    echo "Making $venv with $("$found" -c 'import sys; print(sys.executable, sys.version.split()[0])') …"
    "$found" -m venv --clear "$venv"
elif command -v uv >/dev/null 2>&1 && uv venv --quiet --clear --seed --python '>=3.12' "$venv"; then
    echo "Made $venv with an interpreter that uv found …"
else
    echo "No Python 3.12 or newer that can make environments was found: not on PATH, not in a version manager's folder," >&2
    echo "and there is no uv. (Debian and Ubuntu have the venv module in a package of its own: python3-venv.)" >&2
    echo "Install one (https://www.python.org/downloads/), or say where it is: make PYTHON=/path/to/python3.12 …" >&2
    exit 1
fi

echo "Installing what it needs, about half a minute …"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt --group dev
touch "$venv/.ready"
