# shellcheck shell=bash
# The system's package manager, called only when something is really missing.

# root, or sudo that asks nobody: a build must not stop at a password prompt.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() {
  [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# The version that apt would install, empty when it knows none.
apt_candidate() { # PACKAGE
  have apt-cache || return 0
  LC_ALL=C apt-cache policy "$1" 2>/dev/null |
    awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# Container images come without package lists.
apt_lists() {
  if [ -n "$(apt_candidate libc6)$(apt_candidate apt)" ] &&
    compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
    return 0
  fi
  if can_be_root; then
    say "reading the package lists"
    as_root apt-get update -qq >&2 || warn "apt-get update failed"
  fi
}

apt_install() { # REASON PACKAGE...
  local reason=$1
  shift
  if ! have apt-get; then
    die "missing: $reason" \
      "This machine has no apt-get. Install what the Debian packages below hold, then run again:" "$*"
  fi
  if ! can_be_root; then
    die "missing: $reason" "Run this, then run again:" "sudo apt-get install --no-install-recommends $*"
  fi
  say "installing $* ($reason)"
  apt_lists
  # Stale lists name files that the mirror no longer has: refresh them once.
  if ! as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
    as_root apt-get update -qq >&2 || true
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
      die "could not install: $*" "It is needed for: $reason"
  fi
}
