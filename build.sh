#!/usr/bin/env bash
# Builds everything from nothing and installs it: the programs into HERO_BIN_DIR
# (~/hero/bin), the guests into HERO_RUNNER_SERVICES_DIR
# (~/hero/var/hero_runner/services). A second run does nothing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/scripts/setup.sh"

setup_host
setup_guests
build_host "${HERO_BIN_DIR:-$HOME/hero/bin}"
services="${HERO_RUNNER_SERVICES_DIR:-${HERO_RUNNER_STATE_DIR:-$HOME/hero/var/hero_runner}/services}"
build_guests "$services"
build_components "$services" "${HERO_BIN_DIR:-$HOME/hero/bin}"
