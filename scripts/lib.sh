# Shared by the scripts here: source it, do not run it.
# Says what it does, installs what is missing, works as root and as a user with sudo, and can be run twice.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_apt COMMAND-OR-FILE PACKAGE: installs PACKAGE unless COMMAND-OR-FILE is there.
need_apt() {
  command -v "$1" >/dev/null 2>&1 && return
  [ -e "$1" ] && return
  command -v apt-get >/dev/null 2>&1 || die "\`$1\` is missing: install it (on Debian: $2)"
  say "Installing $2"
  if [ -z "${DRAGOMAN_TEST_APT_UPDATED:-}" ]; then
    as_root apt-get update -qq
    export DRAGOMAN_TEST_APT_UPDATED=1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
}

need_rust() {
  command -v cargo >/dev/null 2>&1 || [ ! -f "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"
  command -v cargo >/dev/null 2>&1 || die "Rust 1.95 or newer is missing: install it with rustup"
  need_apt cc gcc
}

# The folder cargo builds in, wherever it was told to.
target_dir() {
  printf '%s' "${CARGO_TARGET_DIR:-target}"
}
