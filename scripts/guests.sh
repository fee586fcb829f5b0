# shellcheck shell=bash
# Builds the guests, which are a workspace of their own, and installs each as
# NAME.wasm where the server looks for modules to register. The config of one
# that is a service goes to NAME/config/service.json beside it. What is in the
# folder besides is somebody else's and stays.

build_guests() { # FOLDER
  local folder=$1 manifest name config built="$ROOT/services/target/$WASM_TARGET/release"
  # These variables would replace the flags in services/.cargo/config.toml, and
  # the ones of the host are not for a wasm linker anyway.
  (cd "$ROOT/services" &&
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTC -u CARGO_BUILD_TARGET \
      cargo build --release --target "$WASM_TARGET" --target-dir target)
  # By manifest, not by what lies in the build folder: that keeps old names.
  for manifest in "$ROOT"/services/{,faulty/}*/Cargo.toml; do
    name="$(sed -n 's/^name *= *"\([^"]*\)".*/\1/p' "$manifest" | head -n 1)"
    if [ ! -f "$built/$name.wasm" ]; then continue; fi
    install_file 644 "$built/$name.wasm" "$folder/$name.wasm"
    # After its module: the server may start it as soon as it sees this.
    config="${manifest%/*}/config/service.json"
    if [ -f "$config" ]; then install_file 644 "$config" "$folder/$name/config/service.json"; fi
  done
}
