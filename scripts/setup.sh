# shellcheck shell=bash
# Everything that has to be there before cargo is called. Does nothing, quickly,
# when it is.

for piece in common apt packages debian_testing without_compiler wasmedge cargo_config wasm_target assets host guests components; do
  # shellcheck disable=SC1090
  . "$(dirname "${BASH_SOURCE[0]}")/$piece.sh"
done
unset piece

setup_host() {
  need_cargo
  need_host_packages
  wasmedge_find
  write_host_config
}

setup_guests() {
  wasm_find
  write_guest_config
}
