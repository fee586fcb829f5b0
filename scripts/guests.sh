# shellcheck shell=bash
# Builds the guests, which are a workspace of their own, and installs each as
# NAME.wasm where the server looks for modules to register.

build_guests() { # FOLDER
  local folder=$1 manifest name built="$ROOT/services/target/$WASM_TARGET/release"
  # These variables would replace the flags in services/.cargo/config.toml, and
  # the ones of the host are not for a wasm linker anyway.
  (cd "$ROOT/services" &&
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTC -u CARGO_BUILD_TARGET \
      cargo build --release --target "$WASM_TARGET" --target-dir target)
  # By manifest, not by what lies in the build folder: that keeps old names.
  for manifest in "$ROOT"/services/{,faulty/}*/Cargo.toml; do
    name="$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -n 1)"
    if [ -f "$built/$name.wasm" ]; then install_file 644 "$built/$name.wasm" "$folder/$name.wasm"; fi
  done
}
