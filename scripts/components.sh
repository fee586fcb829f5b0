# shellcheck shell=bash
# Builds the guests that are components: those of services/components, and the
# load generator of services/scenario, whose parts `hero_runner compose` plugs
# together. Each is installed as NAME.wasm with its config beside it, as
# guests.sh does it for the others.

SCENARIO_PARTS=(core_libs http_action executor scheduler)

# These variables are for the host's compiler and its programs.
cargo_components() { # WORKSPACE
  (cd "$ROOT/services/$1" &&
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTC -u CARGO_BUILD_TARGET \
      cargo build --locked --release --target "$WASM_COMPONENT_TARGET" --target-dir target)
}

# Anew when one of the parts or the plan is newer.
compose_scenario() { # PROGRAM PARTS COMPOSED
  local program=$1 parts=$2 composed=$3 part plan="$ROOT/services/scenario/scenario.wac" newer='' dependencies=()
  for part in "${SCENARIO_PARTS[@]}"; do
    dependencies+=(--dep "hero:${part//_/-}=$parts/$part.wasm")
    if [ ! "$composed" -nt "$parts/$part.wasm" ]; then newer=yes; fi
  done
  if [ -z "$newer" ] && [ "$composed" -nt "$plan" ]; then return 0; fi
  "$program" --quiet compose "$plan" --out "$composed.new" "${dependencies[@]}"
  mv -f "$composed.new" "$composed"
}

build_components() { # FOLDER PROGRAMS
  local folder=$1 program="$2/hero_runner" manifest name config built
  cargo_components components
  built="$ROOT/services/components/target/$WASM_COMPONENT_TARGET/release"
  for manifest in "$ROOT"/services/components/*/Cargo.toml; do
    name="$(sed -n 's/^name *= *"\([^"]*\)".*/\1/p' "$manifest" | head -n 1)"
    install_file 644 "$built/$name.wasm" "$folder/$name.wasm"
    # After its module: the server may start it as soon as it sees this.
    config="${manifest%/*}/config/service.json"
    if [ -f "$config" ]; then install_file 644 "$config" "$folder/$name/config/service.json"; fi
  done
  cargo_components scenario
  built="$ROOT/services/scenario/target/$WASM_COMPONENT_TARGET/release"
  compose_scenario "$program" "$built" "$built/scenario.wasm"
  install_file 644 "$built/scenario.wasm" "$folder/scenario.wasm"
}
