#!/usr/bin/env bash
# Builds, starts server and dashboard, runs one session and leaves another one
# running, and shows the services with their URLs; what they print ends up here.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$here/build.sh"

bin="${HERO_BIN_DIR:-$HOME/hero/bin}"
sockets="${HERO_SOCKET_DIR:-$HOME/hero/var/sockets}/hero_runner"

"$bin/hero_runner" --start
printf '==> %s\n' "hero_runner run hello" >&2
"$bin/hero_runner" run hello
# The build may have brought newer services to a server that ran before.
printf '==> %s\n' "hero_runner services reload" >&2
"$bin/hero_runner" services reload
# The gateway holds a request until its service is ready.
printf '==> %s\n' "curl http://localhost/hello/hello (on gateway.sock)" >&2
curl -sS --fail-with-body --max-time 60 --unix-socket "$sockets/gateway.sock" http://localhost/hello/hello
# Ten minutes of something to look at, and where.
printf '==> %s\n' "hero_runner run --detach ticker 600" >&2
session="$("$bin/hero_runner" run --detach ticker 600)"
printf '==> %s\n' "hero_runner ui" >&2
if url="$("$bin/hero_runner" ui)"; then
    printf '%s\n' "$url"
    live="${url%%#*}sessions/$session#${url#*#}"
else
    live="(the dashboard has no port for browsers)"
fi
cat >&2 <<HINTS

The server goes on running. Next:
  $live
                                              a session that runs, and its log, in a browser
  curl http://127.0.0.1:14000/hello/hello     the service hello, through the gateway
  $bin/hero_runner ui              the URL of the dashboard, with its token
  $bin/hero_runner services        their states and URLs
  $bin/hero_runner run ticker      ten lines, one a second
  $bin/hero_runner ps -a           every session
  curl --unix-socket $sockets/rpc.sock http://localhost/rpc \\
    -H 'content-type: application/json' \\
    -d '{"jsonrpc":"2.0","id":1,"method":"session_start","params":{"module":"hello"}}'
  curl --unix-socket $sockets/rpc.sock http://localhost/openrpc.json
  $here/stop.sh
HINTS
