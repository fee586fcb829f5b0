# shellcheck shell=bash
# A stand-in for the compiler's library, for processes that only run compiled code.
#
# libwasmedge needs some 600 symbols of libLLVM to be loaded, and none to run. The stand-in has the same soname, the same
# version of the symbols and the same names; each of them traps. It is read off the libraries themselves, so it fits
# whatever version is there. The compile process goes on using the real library.

# without_compiler RUNTIME: makes RUNTIME/../without_compiler.so, where RUNTIME is the folder of the private libraries.
without_compiler() {
    local runtime=$1 out llvm version work
    out=$(dirname "$runtime")/without_compiler.so
    [ -e "$out" ] && return 0
    llvm=$(find "$runtime" -maxdepth 1 -name 'libLLVM.so.*' -type f | head -n 1)
    # A WasmEdge with its compiler built in, or with none, needs no stand-in.
    [ -n "$llvm" ] && command -v nm >/dev/null || return 0
    work=$(mktemp -d)
    nm -D --undefined-only "$runtime/libwasmedge.so.0" |
        sed -n 's/.* \([A-Za-z_0-9]*\)@\(LLVM_[0-9.]*\)$/\1 \2/p' | sort -u >"$work/symbols"
    version=$(head -n 1 "$work/symbols" | cut -d' ' -f2)
    if [ -n "$version" ]; then
        {
            echo '.text'
            cut -d' ' -f1 "$work/symbols" | while read -r symbol; do
                printf '.globl %s\n.type %s,@function\n%s:\n' "$symbol" "$symbol" "$symbol"
            done
            printf 'ud2\n.section .note.GNU-stack,"",@progbits\n'
        } >"$work/stand_in.S"
        echo "$version { global: *; };" >"$work/version.map"
        cc -shared -nostdlib -o "$work/out.so" "-Wl,-soname,$(basename "$llvm")" \
            "-Wl,--version-script,$work/version.map" -Wl,-z,noexecstack "$work/stand_in.S" &&
            mv "$work/out.so" "$out"
    fi
    rm -rf "$work"
}
