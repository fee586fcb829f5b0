# shellcheck shell=bash
# The files that the dashboard's pages use from others. They come from npm's registry as the lock says, digests included,
# at build time: nothing of them is in the repository, and no page asks anybody else for them.

ASSETS_LIST="$ROOT/scripts/assets"
ASSETS_FOLDER="$ROOT/crates/hero_runner_ui/assets"

# A hash of all that decides what is copied: this file too.
assets_stamp() { # FILE...
  cat "$@" | sha256sum | cut -c 1-16
}

# `npm ci` takes exactly what the lock says, and checks each package's digest.
fetch_packages() { # TEMP
  have npm || apt_install "npm, which gets the dashboard's style sheets and scripts" npm
  cp "$ASSETS_LIST/package.json" "$ASSETS_LIST/package-lock.json" "$1/"
  say "getting the dashboard's style sheets and scripts"
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >&2) ||
    die "npm could not get the dashboard's style sheets and scripts" \
      "Its own message stands above. With a network, run again: scripts/download-assets.sh"
}

# One file with a <symbol> for each icon of the list, used as <use href="icons.svg#NAME">.
write_sprite() { # ICONS LIST
  local name
  printf '<svg xmlns="http://www.w3.org/2000/svg">\n'
  while read -r name; do
    [ -f "$1/$name.svg" ] || die "there is no icon $name" "Correct scripts/assets/icons.txt."
    printf '<symbol id="%s" viewBox="0 0 16 16">%s</symbol>\n' "$name" \
      "$(tr '\n' ' ' <"$1/$name.svg" | sed -e 's/^<svg[^>]*>//' -e 's/<\/svg>.*$//' -e 's/> *</></g')"
  done <"$2"
  printf '</svg>\n'
}

lay_assets() { # PACKAGES TEMP STAMP
  local from=$1/node_modules to=$2 name
  local highlight=$from/@highlightjs/cdn-assets
  cp "$from/bootstrap/dist/css/bootstrap.min.css" "$from/uplot/dist/uPlot.min.css" "$from/codejar/dist/codejar.js" "$to/"
  # Without its reference to a map of the source, which is not here.
  sed -i '/^\/\*# sourceMappingURL/d' "$to/bootstrap.min.css"
  # These two come small only as classic scripts that set one variable: a line more makes them modules.
  { cat "$from/uplot/dist/uPlot.iife.min.js" && printf '\nexport default uPlot;\n'; } >"$to/uplot.js"
  { cat "$from/idiomorph/dist/idiomorph.min.js" && printf '\nexport default Idiomorph;\n'; } >"$to/idiomorph.js"
  cp "$highlight/es/core.min.js" "$to/highlight.js"
  for name in javascript json python rust; do
    cp "$highlight/es/languages/$name.min.js" "$to/highlight-$name.js"
  done
  # Their licences ask to go with them.
  for name in bootstrap bootstrap-icons uplot idiomorph codejar @highlightjs/cdn-assets; do
    printf '== %s ==\n' "$name"
    cat "$from/$name"/LICENSE*
    printf '\n'
  done >"$to/LICENSES.txt"
  write_sprite "$from/bootstrap-icons/icons" "$ASSETS_LIST/icons.txt" >"$to/icons.svg"
  printf '%s\n' "$3" >"$to/stamp"
}

get_assets() {
  local packages stamp temp
  stamp="$(assets_stamp "$ROOT/scripts/assets.sh" "$ASSETS_LIST/package-lock.json" "$ASSETS_LIST/icons.txt")"
  if [ "$(cat "$ASSETS_FOLDER/vendor/stamp" 2>/dev/null)" = "$stamp" ] && [ -f "$ASSETS_FOLDER/icons.svg" ]; then
    return 0
  fi
  have flock || apt_install "the lock of the cache" util-linux
  packages="assets-$(assets_stamp "$ASSETS_LIST/package-lock.json")"
  cache_folder "$packages" fetch_packages
  mkdir -p "$ASSETS_FOLDER"
  temp="$(mktemp -d "$ASSETS_FOLDER/.vendor.XXXXXX")"
  chmod 755 "$temp"
  lay_assets "$CACHE/$packages" "$temp" "$stamp"
  mv -f "$temp/icons.svg" "$ASSETS_FOLDER/icons.svg"
  rm -rf "$ASSETS_FOLDER/vendor"
  mv "$temp" "$ASSETS_FOLDER/vendor"
  say "the dashboard's style sheets and scripts are in place"
}
