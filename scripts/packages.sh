# shellcheck shell=bash
# What the host build needs from the system. Looked for where it is used, and
# installed only when it is not there.

need_cargo() {
  if have cargo && have rustc; then return 0; fi
  die "cargo is missing" \
    "Install Rust 1.95 or newer from https://rustup.rs and run again."
}

# bindgen loads libclang while it reads WasmEdge's header, and libclang needs the
# headers that come with its compiler (stddef.h and the like).
libclang_present() {
  if [ -n "${LIBCLANG_PATH:-}" ]; then
    compgen -G "$LIBCLANG_PATH/libclang*" >/dev/null
    return
  fi
  local folder
  for folder in /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib /usr/local/llvm*/lib; do
    # Not libclang-cpp, which is another library.
    if compgen -G "$folder/libclang.so*" >/dev/null || compgen -G "$folder/libclang-[0-9]*.so*" >/dev/null; then
      if compgen -G '/usr/lib*/llvm-*/lib*/clang/*/include/stddef.h' >/dev/null ||
        compgen -G '/usr/lib*/clang/*/include/stddef.h' >/dev/null ||
        compgen -G '/usr/local/l*/clang/*/include/stddef.h' >/dev/null; then
        return 0
      fi
    fi
  done
  return 1
}

need_host_packages() {
  local packages=()
  have cc || packages+=(gcc libc6-dev)
  libclang_present || {
    if [ "$(os_release ID):$(os_release VERSION_ID)" = debian:12 ]; then
      packages+=(libclang-14-dev)
    else
      packages+=(libclang-dev)
    fi
  }
  # A bare container may lack these: the locks of the cache, and TLS roots.
  have flock || packages+=(util-linux)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || [ ! -e /etc/debian_version ] || packages+=(ca-certificates)
  if ((${#packages[@]})); then
    apt_install "a C compiler, libclang and the tools to build with" "${packages[@]}"
  fi
}
