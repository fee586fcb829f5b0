# shellcheck shell=bash
# Writes what was found into cargo's own settings, so that plain cargo commands
# and editors work afterwards without any variable in the shell.

# Only when the content changes: cargo compiles everything anew that depends on a
# variable whose file was touched with a new value.
write_config() { # FILE CONTENT
  if [ -z "$2" ]; then
    # Only ours goes.
    if [ -f "$1" ] && head -n 1 "$1" | grep -q '^# Written by build.sh'; then rm -f "$1"; fi
    return 0
  fi
  local temp
  temp="$(mktemp)"
  printf '# Written by build.sh for this machine.\n%s\n' "$2" >"$temp"
  install_file 644 "$temp" "$1"
  rm -f "$temp"
}

toml_string() { # VALUE
  local value=${1//\\/\\\\}
  printf '"%s"' "${value//\"/\\\"}"
}

write_host_config() {
  local lines=''
  # The crate looks into ~/.wasmedge and /usr/local by itself, though in an order
  # of its own; naming the folder makes sure that it takes the one that was
  # checked.
  lines+="WASMEDGE_DIR = $(toml_string "$WASMEDGE_FOUND")"$'\n'
  if [ -n "$WASMEDGE_LIB" ]; then
    lines+="HERO_RUNNER_WASMEDGE_LIB = $(toml_string "$WASMEDGE_LIB")"$'\n'
  fi
  if [ -n "$WASMEDGE_RUNTIME" ]; then
    lines+="HERO_RUNNER_WASMEDGE_RUNTIME = $(toml_string "$WASMEDGE_RUNTIME")"$'\n'
  fi
  # libclang in a usual place is found without it.
  if [ -n "${LIBCLANG_PATH:-}" ]; then
    lines+="LIBCLANG_PATH = $(toml_string "$LIBCLANG_PATH")"$'\n'
  fi
  # Cargo reads one such file in a folder, so the project's alias is in it too.
  write_config "$ROOT/.cargo/config.toml" "[alias]
xtask = \"run --release --package xtask --\"

[env]
${lines%$'\n'}"
}
