# shellcheck shell=bash
# Builds the programs and installs them.

build_host() { # TARGET FOLDER
  local folder=$1 name target="${CARGO_TARGET_DIR:-$ROOT/target}"
  (cd "$ROOT" && cargo build --release --workspace --exclude xtask --bins --target-dir "$target")
  sed -n 's/^name = "\(hero_runner[a-z_]*\)"/\1/p' "$ROOT"/crates/*/Cargo.toml | sort -u | while read -r name; do
    if [ -f "$target/release/$name" ]; then install_file 755 "$target/release/$name" "$folder/$name"; fi
  done
}
