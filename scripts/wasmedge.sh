# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used by the pieces that source this
# Finds WasmEdge 0.17, or makes it. Sets
#   WASMEDGE_FOUND    the folder that holds include/ and lib/
#   WASMEDGE_LIB      its libraries, where the system's loader does not look by itself
#   WASMEDGE_RUNTIME  the private prefix's libraries, empty for every other kind

WASMEDGE_SERIES=0.17
WASMEDGE_PREFIX="$CACHE/wasmedge-$WASMEDGE_SERIES"
WASMEDGE_RELEASE="$CACHE/wasmedge-$WASMEDGE_SERIES-release"

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

# WasmEdge's own release, fetched by the crate's `standalone` feature. The archive
# sits behind a redirect to a second host, so only asking for it tells whether
# that build would succeed.
wasmedge_release_reachable() {
  have curl || return 1
  local archive
  archive="WasmEdge-0.17.1-manylinux_2_28_$(uname -m).tar.gz"
  curl --silent --fail --head --location --output /dev/null --connect-timeout 5 --max-time 15 \
    "https://github.com/WasmEdge/WasmEdge/releases/download/0.17.1/$archive"
}

# The feature leaves the release deep inside the build folder, where a cleaning
# would take it from under the installed programs. So it is asked for once, in a
# folder of its own (running the build scripts is enough), and kept: from then on
# this is a WasmEdge like any other, and plain cargo commands find it.
wasmedge_make_release() { # TEMP
  local temp=$1 header
  say "WasmEdge $WASMEDGE_SERIES: fetching its own release through the crate (once, takes a few minutes)"
  (cd "$ROOT" && cargo check --package hero_runner_zygote --features standalone --target-dir "$temp/build" >&2)
  header="$(find "$temp/build" -path '*/standalone/*' -name wasmedge.h -print -quit)"
  [ -n "$header" ] || die "the crate's standalone feature left no WasmEdge behind"
  mv "${header%/include/wasmedge/wasmedge.h}"/* "$temp/"
  rm -rf "$temp/build"
}

wasmedge_make_prefix() { # TEMP
  local temp=$1 version
  say "WasmEdge $WASMEDGE_SERIES: making a private copy from Debian $TESTING_SUITE (about 45 MB, once)"
  debian_testing_unpack "$temp/root" '' libwasmedge-dev wasmedge
  # rustc runs with lib/ on its library path while the crate's build script
  # works. A libc in there would break it, so lib/ holds WasmEdge and nothing
  # else, and all that WasmEdge needs at run time is apart. That folder has to
  # be called "lib": libLLVM looks for its own under $ORIGIN/../lib.
  mkdir -p "$temp"/{bin,lib,include,runtime/lib,runtime/bin}
  cp -a "$temp"/root/usr/include/wasmedge "$temp/include/"
  debian_testing_libraries "$temp/root" "$temp/runtime/lib"
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
  version="$("$temp/bin/wasmedge" --version | head -n 1)" || die "the private WasmEdge does not run"
  say "made a private WasmEdge${version##*version}"
}

# The folder of a found WasmEdge's libraries, empty for those that the system's
# loader finds by itself.
wasmedge_lib() { # FOLDER
  case "$1" in /usr | /usr/local) return 0 ;; esac
  local lib
  for lib in "$1/lib64" "$1/lib"; do
    if compgen -G "$lib/libwasmedge.so*" >/dev/null; then
      printf '%s' "$lib"
      return 0
    fi
  done
}

wasmedge_use() { # FOLDER
  WASMEDGE_FOUND=$1
  # Our own prefix needs its own loader, also when it was named by hand.
  if compgen -G "$1/runtime/lib/ld-linux-*" >/dev/null; then
    WASMEDGE_RUNTIME="$1/runtime/lib"
    without_compiler "$WASMEDGE_RUNTIME"
  else
    WASMEDGE_LIB="$(wasmedge_lib "$1")"
  fi
}

wasmedge_find() {
  local folder candidate obstacle
  WASMEDGE_FOUND='' WASMEDGE_LIB='' WASMEDGE_RUNTIME=''

  if [ -n "${WASMEDGE_DIR:-}" ]; then
    folder="${WASMEDGE_DIR%/}"
    wasmedge_usable "$folder" ||
      die "WASMEDGE_DIR=$folder holds no WasmEdge $WASMEDGE_SERIES (found: '$(wasmedge_version "$folder")')" \
        "Point it at the folder that holds include/ and lib/, or unset it."
    wasmedge_use "$folder"
    return 0
  fi

  # What an earlier run made comes last in this list, but before any network.
  for folder in "$HOME/.wasmedge" /usr/local /usr "$WASMEDGE_RELEASE" "$WASMEDGE_PREFIX"; do
    if wasmedge_usable "$folder"; then
      wasmedge_use "$folder"
      return 0
    fi
  done

  apt_lists
  candidate="$(apt_candidate libwasmedge-dev)"
  case "$candidate" in
    "$WASMEDGE_SERIES".* | *:"$WASMEDGE_SERIES".*)
      apt_install "WasmEdge $WASMEDGE_SERIES" libwasmedge-dev
      wasmedge_usable /usr || die "libwasmedge-dev $candidate was installed, and /usr still holds no WasmEdge"
      wasmedge_use /usr
      return 0
      ;;
  esac

  if wasmedge_release_reachable; then
    cache_folder "${WASMEDGE_RELEASE##*/}" wasmedge_make_release
    wasmedge_use "$WASMEDGE_RELEASE"
    return 0
  fi

  obstacle="$(debian_testing_obstacle)"
  if [ -n "$obstacle" ]; then
    die "no WasmEdge $WASMEDGE_SERIES on this machine, and none can be fetched" \
      "Looked at: WASMEDGE_DIR, ~/.wasmedge, /usr/local, /usr;" \
      "the package manager (offers: ${candidate:-none});" \
      "WasmEdge's releases on GitHub (not reachable);" \
      "packages of Debian $TESTING_SUITE ($obstacle)." \
      "Install WasmEdge $WASMEDGE_SERIES and run again, with WASMEDGE_DIR set if it is in an unusual place."
  fi
  cache_folder "${WASMEDGE_PREFIX##*/}" wasmedge_make_prefix
  wasmedge_use "$WASMEDGE_PREFIX"
}
