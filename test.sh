#!/usr/bin/env bash
# Everything that has to hold: format, lints, tests. Installs what is missing.
# Arguments go to `cargo nextest run`, such as a test's name.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/scripts/setup.sh"
cd "$ROOT"

# The end-to-end tests run programs and guests that are installed for them, so
# that a test never touches the user's own.
export HERO_BIN_DIR="$TARGET/test-install/bin"
export HERO_RUNNER_SERVICES_DIR="$TARGET/test-install/services"

free_gb="$(($(df --output=avail -k "$ROOT" | tail -n 1) >> 20))"
if [ ! -d "$TARGET/debug" ] && ((free_gb < 9)); then
  warn "$free_gb GiB of disk are free, and what is built for the tests takes about 8"
fi

"$ROOT/build.sh"
HERO_REAL_GUESTS_DIR="$("$ROOT/scripts/fetch_real_guests.sh")"
export HERO_REAL_GUESTS_DIR
cargo nextest --version >/dev/null 2>&1 || {
  say "installing cargo-nextest (a few minutes, once)"
  env -u CARGO_TARGET_DIR cargo install cargo-nextest --locked
}

say "a server without the second engine"
cargo build --quiet -p hero_runner_server --no-default-features
install -m 0755 "$TARGET/debug/hero_runner_server" "$HERO_BIN_DIR/hero_runner_server_plain"

# The hero family's supervisor, so that --start and --stop are tested with the real one.
ZINIT_SERVER="$CACHE/zinit-0.3.9/bin/zinit-server"
export ZINIT_SERVER
[ -x "$ZINIT_SERVER" ] || {
  say "installing zinit-server 0.3.9 (a few minutes, once)"
  env -u CARGO_TARGET_DIR cargo install zinit --version 0.3.9 --locked --root "${ZINIT_SERVER%/bin/*}"
}

say "format"
cargo fmt --all --check
for workspace in services services/components services/scenario; do (cd "$workspace" && cargo fmt --all --check); done
say "lints"
cargo clippy --workspace --all-targets -- -D warnings
# Debian's private rustc has no clippy beside it.
if [ ! -f services/.cargo/config.toml ]; then
  (cd services && cargo clippy --quiet --release --target wasm32-wasip1 --target-dir target -- -D warnings)
  for workspace in components scenario; do
    (cd "services/$workspace" &&
      cargo clippy --quiet --release --target wasm32-wasip2 --target-dir target -- -D warnings)
  done
fi
say "tests of what the load generator and the command line share"
(cd services/scenario && cargo test --quiet --target-dir target -p scenario_plan -p scenario_report -p scenario_url)
say "tests of the dashboard's scripts"
have node || apt_install "node, which runs the tests of the dashboard's scripts" nodejs
node --test crates/hero_runner_ui/tests/js/*.test.mjs
say "tests in a browser"
scripts/in_browser.sh
say "documentation tests"
cargo test --quiet --workspace --doc
if cargo deny --version >/dev/null 2>&1; then
  say "dependencies"
  cargo deny check
else
  say "dependencies: cargo-deny is not installed, skipped"
fi
# Last, so that its summary is what stands at the end.
say "tests"
cargo nextest run --workspace "$@"
