# shellcheck shell=bash
# Finds a Rust that compiles to WebAssembly, or makes one. Sets
#   WASM_RUSTC   the compiler to use for guests, empty for the machine's own
#   WASM_LINKER  the linker it needs, empty where Rust brings one
#   WASM_COMPONENT_LINKER  the one for components, likewise

WASM_TARGET=wasm32-wasip1
WASM_COMPONENT_TARGET=wasm32-wasip2
WASM_PREFIX="$CACHE/wasm-rust"

# True for rustup's targets and for those that a distribution installs.
wasm_target_installed() {
  local target sysroot
  sysroot="$(rustc --print sysroot)"
  for target in "$WASM_TARGET" "$WASM_COMPONENT_TARGET"; do
    [ -d "$sysroot/lib/rustlib/$target/lib" ] || return 1
  done
}

wasm_make_prefix() { # TEMP
  local temp=$1
  say "wasm targets: making a private copy of rustc from Debian $TESTING_SUITE (about 190 MB, once)"
  # Build scripts and procedural macros of guests are linked for this machine,
  # by this machine's compiler: Debian testing's stays out.
  debian_testing_unpack "$temp/root" 'gcc libc6-dev binutils' rustc libstd-rust-dev-wasm32
  mkdir "$temp/bin" "$temp/lib"
  debian_testing_libraries "$temp/root" "$temp/lib"
  rm -rf "$temp"/root/{etc,var,lib64} "$temp"/root/usr/{share,lib64,libexec}
  cat >"$temp/bin/rustc" <<'WRAPPER'
#!/bin/sh
# A rustc with wasm targets on its own C library, beside the machine's Rust.
prefix=${0%/*}/..
exec "$prefix"/lib/ld-linux-*.so.* --library-path "$prefix/lib" --argv0 "$prefix/root/usr/bin/rustc" \
  "$prefix/root/usr/bin/rustc" --sysroot "$prefix/root/usr" "$@"
WRAPPER
  chmod 755 "$temp/bin/rustc"
  "$temp/bin/rustc" --print target-libdir --target "$WASM_TARGET" >/dev/null ||
    die "the private rustc does not run"
  say "made a private $("$temp/bin/rustc" --version)"
}

# LLVM's linker: rustup's Rust brings its own (rust-lld), Debian's does not.
# Older ones do not know the features that today's compiler marks its objects with.
wasm_find_linker() {
  local candidate
  for candidate in wasm-ld-{23,22,21,20,19} wasm-ld; do
    have "$candidate" || continue
    if [ "$("$candidate" --version | sed -n 's/^.*LLD \([0-9]*\).*/\1/p')" -ge 19 ]; then
      WASM_LINKER=$candidate
      return 0
    fi
  done
  return 1
}

wasm_need_linker() {
  if wasm_find_linker; then return 0; fi
  apt_lists
  if [ -n "$(apt_candidate lld-19)" ]; then
    apt_install "a linker for WebAssembly" lld-19
  else
    apt_install "a linker for WebAssembly" lld
  fi
  wasm_find_linker || die "no wasm-ld of LLVM 19 or newer" "Install lld 19 or newer and run again."
}

# What makes a component of a linked module: rustup's Rust brings it, Debian's
# does not.
wasm_need_component_linker() {
  WASM_COMPONENT_LINKER="$CACHE/wasm-component-ld-0.5/bin/wasm-component-ld"
  [ -x "$WASM_COMPONENT_LINKER" ] && return 0
  say "installing wasm-component-ld (a few minutes, once)"
  env -u CARGO_TARGET_DIR cargo install wasm-component-ld --version '^0.5' --locked \
    --root "${WASM_COMPONENT_LINKER%/bin/*}"
}

wasm_find() {
  local obstacle
  WASM_RUSTC='' WASM_LINKER='' WASM_COMPONENT_LINKER=''
  if wasm_target_installed; then
    [ -x "$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld" ] ||
      wasm_need_linker
    return 0
  fi

  # An earlier run found rustup's servers out of reach; it need not ask again.
  if [ ! -x "$WASM_PREFIX/bin/rustc" ]; then
    if have rustup; then
      say "adding Rust's targets $WASM_TARGET and $WASM_COMPONENT_TARGET"
      # Where the network drops packets instead of refusing them, rustup tries
      # for minutes.
      if RUST_BACKTRACE=0 timeout 180 rustup target add "$WASM_TARGET" "$WASM_COMPONENT_TARGET" >&2 &&
        wasm_target_installed; then return 0; fi
      warn "rustup could not add it"
    fi
    obstacle="$(debian_testing_obstacle)"
    if [ -n "$obstacle" ]; then
      die "Rust cannot compile to $WASM_TARGET here" \
        "rustup could not add the target, and packages of Debian $TESTING_SUITE cannot be used: $obstacle." \
        "Add it with: rustup target add $WASM_TARGET $WASM_COMPONENT_TARGET"
    fi
    cache_folder "${WASM_PREFIX##*/}" wasm_make_prefix
  fi
  WASM_RUSTC="$WASM_PREFIX/bin/rustc"
  wasm_need_linker
  wasm_need_component_linker
}

# The guests' own cargo settings, so that plain cargo commands work in services/.
write_guest_config() {
  local lines=''
  if [ -n "$WASM_RUSTC" ]; then
    lines+="[build]"$'\n'"rustc = $(toml_string "$WASM_RUSTC")"$'\n'
  fi
  if [ -n "$WASM_LINKER" ]; then
    lines+="[target.$WASM_TARGET]"$'\n'"linker = $(toml_string "$WASM_LINKER")"$'\n'
    lines+='rustflags = ["-C", "linker-flavor=wasm-ld"]'$'\n'
  fi
  if [ -n "$WASM_COMPONENT_LINKER" ]; then
    lines+="[target.$WASM_COMPONENT_TARGET]"$'\n'"linker = $(toml_string "$WASM_COMPONENT_LINKER")"$'\n'
    lines+="rustflags = [\"-C\", $(toml_string "link-arg=--wasm-ld-path=$(command -v "$WASM_LINKER")")]"$'\n'
  fi
  write_config "$ROOT/services/.cargo/config.toml" "${lines%$'\n'}"
}
