# shellcheck shell=bash
# Builds the programs and installs them.

build_host() { # FOLDER
  local folder=$1 name
  get_assets
  (cd "$ROOT" && cargo build --release --workspace --exclude xtask --bins)
  sed -n 's/^name = "\(hero_runner[a-z_]*\)"/\1/p' "$ROOT"/crates/*/Cargo.toml | sort -u | while read -r name; do
    if [ -f "$TARGET/release/$name" ]; then install_file 755 "$TARGET/release/$name" "$folder/$name"; fi
  done
}
