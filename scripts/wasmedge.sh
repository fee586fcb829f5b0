# shellcheck shell=bash
# Finds WasmEdge 0.17, or makes it. Sets
#   WASMEDGE_FOUND    the folder that holds include/ and lib/, empty for "standalone"
#   WASMEDGE_RUNTIME  the private prefix's libraries, empty for every other kind
#   WASMEDGE_FEATURES cargo arguments that the choice needs

WASMEDGE_SERIES=0.17
WASMEDGE_PREFIX="$CACHE/wasmedge-$WASMEDGE_SERIES"

# The release that a folder's header states, such as 0.17.1.
wasmedge_version() { # FOLDER
  sed -n 's/^#define WASMEDGE_VERSION "\(.*\)"/\1/p' "$1/include/wasmedge/version.h" 2>/dev/null || true
}

wasmedge_usable() { # FOLDER
  case "$(wasmedge_version "$1")" in
    "$WASMEDGE_SERIES" | "$WASMEDGE_SERIES".*) ;;
    *) return 1 ;;
  esac
  compgen -G "$1/lib*/libwasmedge.so*" >/dev/null ||
    compgen -G "$1/lib/*/libwasmedge.so*" >/dev/null
}

# The crate's `standalone` feature downloads the release while it builds. Its
# archive sits behind a redirect to a second host, so only fetching from it
# tells whether the build would succeed.
wasmedge_release_reachable() {
  have curl || return 1
  local url="https://github.com/WasmEdge/WasmEdge/releases/download/0.17.1/SHA256SUM"
  curl --silent --fail --location --output /dev/null --connect-timeout 5 --max-time 15 "$url"
}

wasmedge_make_prefix() { # TEMP
  local temp=$1 lib
  say "WasmEdge $WASMEDGE_SERIES: making a private copy from Debian $TESTING_SUITE (about 45 MB, once)"
  debian_testing_unpack "$temp/root" '' libwasmedge-dev wasmedge
  # rustc runs with lib/ on its library path while the crate's build script
  # works. A libc in there would break it, so lib/ holds WasmEdge and nothing
  # else, and all that WasmEdge needs at run time is apart. That folder has to
  # be called "lib": libLLVM looks for its own under $ORIGIN/../lib.
  mkdir -p "$temp"/{bin,lib,include,runtime/lib,runtime/bin}
  cp -a "$temp"/root/usr/include/wasmedge "$temp/include/"
  for lib in "$temp"/root/{,usr/}lib{,64}{,/*-linux-gnu*}; do
    [ -d "$lib" ] || continue
    find "$lib" -maxdepth 1 -name '*.so*' \( -type f -o -type l \) \
      -exec cp -a --no-clobber -t "$temp/runtime/lib" {} +
  done
  cp -a "$temp"/runtime/lib/libwasmedge.so* "$temp/lib/"
  # The development link is all that a linker looks for.
  [ -e "$temp/lib/libwasmedge.so" ] || ln -s libwasmedge.so.0 "$temp/lib/libwasmedge.so"
  cp -a "$temp/root/usr/bin/wasmedge" "$temp/runtime/bin/"
  cat >"$temp/bin/wasmedge" <<'WRAPPER'
#!/bin/sh
# WasmEdge's own command on its own libraries, beside the system's.
prefix=${0%/*}/../runtime
exec "$prefix"/lib/ld-linux-*.so.* --library-path "$prefix/lib" "$prefix/bin/wasmedge" "$@"
WRAPPER
  chmod 755 "$temp/bin/wasmedge"
  rm -rf "$temp/root"
  # The links of a merged /usr point elsewhere once they are moved.
  if find "$temp" -xtype l | grep -q .; then
    die "the private WasmEdge has broken links: $(find "$temp" -xtype l | tr '\n' ' ')"
  fi
  "$temp/bin/wasmedge" --version >&2 || die "the private WasmEdge does not run"
}

wasmedge_find() {
  local folder candidate obstacle
  WASMEDGE_FOUND='' WASMEDGE_RUNTIME='' WASMEDGE_FEATURES=()

  if [ -n "${WASMEDGE_DIR:-}" ]; then
    wasmedge_usable "$WASMEDGE_DIR" ||
      die "WASMEDGE_DIR=$WASMEDGE_DIR holds no WasmEdge $WASMEDGE_SERIES (found: '$(wasmedge_version "$WASMEDGE_DIR")')" \
        "Point it at the folder that holds include/ and lib/, or unset it."
    WASMEDGE_FOUND=$WASMEDGE_DIR
    # Our own prefix, named by hand, still needs its loader.
    if [ -d "$WASMEDGE_DIR/runtime/lib" ]; then WASMEDGE_RUNTIME="$WASMEDGE_DIR/runtime/lib"; fi
    return 0
  fi

  for folder in "$HOME/.wasmedge" /usr/local /usr; do
    if wasmedge_usable "$folder"; then
      WASMEDGE_FOUND=$folder
      return 0
    fi
  done

  # Made by an earlier run: do not ask the network again.
  if [ -d "$WASMEDGE_PREFIX" ]; then
    WASMEDGE_FOUND=$WASMEDGE_PREFIX WASMEDGE_RUNTIME="$WASMEDGE_PREFIX/runtime/lib"
    return 0
  fi

  apt_lists
  candidate="$(apt_candidate libwasmedge-dev)"
  case "$candidate" in
    *"$WASMEDGE_SERIES"*)
      apt_install "WasmEdge $WASMEDGE_SERIES" libwasmedge-dev
      if wasmedge_usable /usr; then
        WASMEDGE_FOUND=/usr
        return 0
      fi
      ;;
  esac

  if [ -e "$CACHE/wasmedge-standalone" ] || wasmedge_release_reachable; then
    # Remembered, so that a later run without network makes the same choice.
    mkdir -p "$CACHE" && : >"$CACHE/wasmedge-standalone"
    WASMEDGE_FEATURES=(--features hero_runner_zygote/standalone)
    return 0
  fi

  obstacle="$(debian_testing_obstacle)"
  if [ -n "$obstacle" ]; then
    die "no WasmEdge $WASMEDGE_SERIES on this machine, and none can be fetched" \
      "Looked at: WASMEDGE_DIR, ~/.wasmedge, /usr/local, /usr; the package manager (offers: ${candidate:-nothing});" \
      "WasmEdge's releases on GitHub (not reachable); packages of Debian $TESTING_SUITE ($obstacle)." \
      "Install WasmEdge $WASMEDGE_SERIES (https://wasmedge.org/docs/start/install) and run again, with" \
      "WASMEDGE_DIR set when it is in an unusual place."
  fi
  cache_folder "wasmedge-$WASMEDGE_SERIES" wasmedge_make_prefix
  WASMEDGE_FOUND=$WASMEDGE_PREFIX WASMEDGE_RUNTIME="$WASMEDGE_PREFIX/runtime/lib"
}
