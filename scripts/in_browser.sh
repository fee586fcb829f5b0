#!/usr/bin/env bash
# Runs node with what the tests in a browser need, which it installs when it is missing. Without arguments it runs them
# all: the dashboard in headless Chromium against the real server. Programs come from HERO_BIN_DIR, guests from
# HERO_RUNNER_SERVICES_DIR, as in the end-to-end tests.
set -euo pipefail
pieces="$(dirname "${BASH_SOURCE[0]}")"
for piece in common apt browser; do
  # shellcheck disable=SC1090
  . "$pieces/$piece.sh"
done
need_browser
cd "$ROOT"
if (($#)); then exec node "$@"; fi
exec node --test --test-reporter=spec crates/hero_runner_ui/tests/browser/*.test.mjs
