#!/usr/bin/env bash
# Gets what the dashboard's pages use from others (scripts/assets/package.json) and lays the few files needed beside the
# dashboard's own, where its crate embeds them. A second run does nothing.
set -euo pipefail
pieces="$(dirname "${BASH_SOURCE[0]}")"
for piece in common apt assets; do
  # shellcheck disable=SC1090
  . "$pieces/$piece.sh"
done
get_assets
