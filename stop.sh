#!/usr/bin/env bash
# Stops the server and all of its sessions. Fine to call when none runs.
set -euo pipefail
program="${HERO_BIN_DIR:-$HOME/hero/bin}/hero_runner"
if [ ! -x "$program" ]; then
  echo "hero_runner is not installed: nothing runs" >&2
  exit 0
fi
exec "$program" --stop
