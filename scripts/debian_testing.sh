# shellcheck shell=bash
# Unpacks packages of Debian testing beside the system, never into it.
#
# Debian stable carries neither WasmEdge 0.17 nor Rust's wasm libraries; testing
# carries both, built for a newer glibc. So a package and everything that it
# needs, that glibc included, is resolved against a scratch status file ("an
# empty machine"), downloaded from the mirror that this machine already uses,
# checked by apt against Debian's keys, and unpacked into a folder of ours.

TESTING_SUITE=forky

# The archive that this machine's own release comes from.
debian_mirror() {
  have apt-get || return 0
  # shellcheck disable=SC2016 # these dollars are apt's own
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v release="$(os_release VERSION_CODENAME)" '$1 == release { print $2; exit }'
}

# Says why testing's packages cannot be used here; says nothing when they can.
debian_testing_obstacle() {
  if [ "$(os_release ID)" != debian ]; then
    echo "this is not Debian ($(os_release PRETTY_NAME))"
  elif ! have apt-get || ! have dpkg; then
    echo "apt-get or dpkg is missing"
  elif [ -z "$(debian_mirror)" ]; then
    echo "apt has no source for this machine's release"
  fi
}

# Unpacks the packages and all that they need into ROOT. What is named in
# "assumed" counts as installed already: it and what only it needs stay out.
debian_testing_unpack() { # ROOT "ASSUMED ..." PACKAGE...
  local root=$1 assumed=$2 scratch deb
  shift 2
  scratch="$root.apt"
  rm -rf "$scratch"
  mkdir -p "$root" "$scratch"/{lists/partial,archives/partial,debs}

  local keys=/usr/share/keyrings/debian-archive-keyring.gpg signed=
  if [ -r "$keys" ]; then signed=" signed-by=$keys"; fi
  echo "deb [arch=$(dpkg --print-architecture)$signed] $(debian_mirror) $TESTING_SUITE main" \
    >"$scratch/sources.list"

  : >"$scratch/status"
  for deb in $assumed; do
    printf '%s\n' "Package: $deb" 'Status: install ok installed' 'Priority: optional' \
      'Section: misc' 'Maintainer: nobody' "Architecture: $(dpkg --print-architecture)" \
      'Version: 9999' 'Provides: libc-dev' 'Description: stands in for the host' '' >>"$scratch/status"
  done

  # Everything apt reads or writes is here, so this needs no privilege and
  # neither sees nor changes the system's own state. The sandbox user could
  # not enter a home folder.
  cat >"$scratch/apt.conf" <<CONF
Dir::State "$scratch";
Dir::State::lists "$scratch/lists";
Dir::State::status "$scratch/status";
Dir::State::extended_states "$scratch/extended";
Dir::Cache "$scratch";
Dir::Cache::archives "$scratch/archives";
Dir::Etc::sourcelist "$scratch/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
CONF
  export APT_CONFIG="$scratch/apt.conf"
  apt-get update -qq >&2 || die "could not read Debian $TESTING_SUITE from $(debian_mirror)"
  local closure
  closure="$(LC_ALL=C apt-get install --simulate "$@" |
    sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p')"
  [ -n "$closure" ] || die "Debian $TESTING_SUITE does not offer: $*"
  say "downloading $(wc -l <<<"$closure") packages of Debian $TESTING_SUITE"
  # shellcheck disable=SC2086
  (cd "$scratch/debs" && apt-get download -qq $closure >&2) ||
    die "could not download packages of Debian $TESTING_SUITE"
  unset APT_CONFIG
  for deb in "$scratch"/debs/*.deb; do dpkg -x "$deb" "$root"; done
  rm -rf "$scratch"
}

# Moves every shared library, the loader included, out of the folders of an
# unpacked system into one, which is then all that a program of it needs.
debian_testing_libraries() { # ROOT FOLDER
  local folder
  for folder in "$1"/{,usr/}lib{,64}{,/*-linux-gnu*}; do
    # A merged /usr shows some of them twice.
    if [ -d "$folder" ] && [ ! -L "$folder" ]; then
      find "$folder" -maxdepth 1 -name '*.so*' -exec mv --no-clobber -t "$2" {} +
    fi
  done
  # A link that led out of its folder would be lost now.
  local broken
  broken="$(find "$2" -xtype l)"
  if [ -n "$broken" ]; then die "broken links among the unpacked libraries:" "$broken"; fi
}
