# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used by the pieces that source this
# What every other piece uses: where things live, how to talk, how to ask the
# system for a package. Sourced, never run; the caller has set -euo pipefail.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${HERO_RUNNER_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/hero_runner}"
case "$CACHE" in /*) ;; *) CACHE="$PWD/$CACHE" ;; esac
# Cargo's build folder, absolute: programs are started from elsewhere.
TARGET="${CARGO_TARGET_DIR:-$ROOT/target}"
case "$TARGET" in /*) ;; *) TARGET="$PWD/$TARGET" ;; esac
export CARGO_TARGET_DIR="$TARGET"
# The folder that the rustup and cargo installers use. A login shell has it on
# its path; a service or a container often has not.
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

# Progress goes to stderr, so that a piece can answer on stdout.
say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  if (($#)); then printf '       %s\n' "$@" >&2; fi
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# One word from /etc/os-release, empty where there is no such file.
os_release() {
  # shellcheck disable=SC1091
  (. /etc/os-release 2>/dev/null && printf '%s' "${!1-}") || true
}

# Copies a file only when its content differs, and by rename: a running program
# keeps its old file, and nobody ever sees half of the new one.
install_file() { # MODE SOURCE TARGET
  local mode=$1 source=$2 target=$3 temp
  if cmp -s "$source" "$target"; then return 0; fi
  mkdir -p "$(dirname "$target")"
  temp="$(mktemp "$(dirname "$target")/.$(basename "$target").XXXXXX")"
  cp "$source" "$temp"
  chmod "$mode" "$temp"
  mv -f "$temp" "$target"
  say "installed $target"
}

# Builds a folder of the cache in one step. Makes an empty temporary folder,
# calls "FUNCTION TEMP", and renames the result into place, so that an
# interrupted run leaves nothing that looks finished. The lock keeps two builds
# apart; whoever held it before and died left a temporary folder, which goes.
cache_folder() { # NAME FUNCTION
  local name=$1 make=$2
  mkdir -p "$CACHE"
  (
    flock 9
    if [ -d "${CACHE:?}/$name" ]; then exit 0; fi
    rm -rf "${CACHE:?}/.$name".tmp.*
    temp="$(mktemp -d "$CACHE/.$name.tmp.XXXXXX")"
    trap 'rm -rf "$temp"' EXIT
    chmod 755 "$temp"
    # The lock is ours: programs started below must not keep it open.
    "$make" "$temp" 9>&-
    mv "$temp" "$CACHE/$name"
  ) 9>"$CACHE/.$name.lock"
}
