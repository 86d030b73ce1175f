#!/bin/bash
# Installs one lock into .venv, with hashes, and leaves a stamp:  deploy/install.sh dev-0123456789abcdef
# An index that pip is configured with serves uv too, so that one setting moves the whole installation to a mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.installed-$1
lock=requirements/${1%-*}.txt
python=.venv/bin/python
rm -f .venv/.installed-*

export PIP_DISABLE_PIP_VERSION_CHECK=1
if ! $python -m uv --version 2>/dev/null | grep -qF "$(sed -n 's/^uv==\([0-9.]*\).*/uv \1/p' requirements/uv.txt)"; then
    $python -m pip install --quiet --require-hashes -r requirements/uv.txt
fi
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=${PIP_INDEX_URL:-$($python -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
fi
# Compiled once here, not by every process of a desk at its start: of a dozen processes each would read pandas for two seconds.
$python -m uv pip install --quiet --compile-bytecode --python $python --require-hashes -r "$lock"
touch "$stamp"
