#!/usr/bin/env bash
# Builds, starts the server, and runs one session, whose output ends up here.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$here/build.sh"

bin="${HERO_BIN_DIR:-$HOME/hero/bin}"
socket="${HERO_SOCKET_DIR:-$HOME/hero/var/sockets}/hero_runner/rpc.sock"

"$bin/hero_runner" --start
printf '==> %s\n' "hero_runner run hello" >&2
"$bin/hero_runner" run hello
cat >&2 <<HINTS

The server goes on running. Next:
  $bin/hero_runner run ticker      ten lines, one a second
  $bin/hero_runner ps -a           every session
  curl --unix-socket $socket http://localhost/rpc \\
    -H 'content-type: application/json' \\
    -d '{"jsonrpc":"2.0","id":1,"method":"session_start","params":{"module":"hello"}}'
  curl --unix-socket $socket http://localhost/openrpc.json
  $here/stop.sh
HINTS
