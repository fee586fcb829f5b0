# shellcheck shell=bash
# What the tests in a browser need beside the project's own programs: node, Debian's Chromium, and two packages of npm's
# registry, as their lock says.

BROWSER_LIST="$ROOT/scripts/browser"

find_chromium() {
  local name
  for name in "${HERO_CHROMIUM:-}" chromium chromium-browser google-chrome-stable; do
    if [ -n "$name" ] && have "$name"; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

fetch_browser_packages() { # TEMP
  have npm || apt_install "npm, which gets what the tests in a browser use" npm
  cp "$BROWSER_LIST/package.json" "$BROWSER_LIST/package-lock.json" "$1/"
  say "getting what the tests in a browser use"
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >&2) ||
    die "npm could not get what the tests in a browser use" \
      "Its own message stands above. With a network, run again: scripts/in_browser.sh"
}

# Sets HERO_CHROMIUM and HERO_BROWSER_PACKAGES.
need_browser() {
  local packages
  have node || apt_install "node, which runs the tests in a browser" nodejs
  have flock || apt_install "the lock of the cache" util-linux
  find_chromium >/dev/null || apt_install "the browser of the dashboard's tests" chromium
  HERO_CHROMIUM="$(find_chromium)" || die "there is no Chromium on the path" "Name it in HERO_CHROMIUM."
  packages="browser-$(sha256sum <"$BROWSER_LIST/package-lock.json" | cut -c 1-16)"
  cache_folder "$packages" fetch_browser_packages
  HERO_BROWSER_PACKAGES="$CACHE/$packages"
  export HERO_CHROMIUM HERO_BROWSER_PACKAGES
}
