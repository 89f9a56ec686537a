# Shell functions shared by the scripts in tools/. Sourced, not run.
# shellcheck shell=bash

# The root of the checkout.
COOKIX_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
COOKIX_CACHE="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cookix"

COOKIX_STEP_NAME=""
COOKIX_STEP_START=0

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# Milliseconds of a clock that only goes forward.
now_ms() {
  local up
  read -r up _ < /proc/uptime
  printf '%s' "${up%.*}${up#*.}0"
}

elapsed() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step NAME: says what begins; the time of a step is printed when it ends.
step() {
  step_done
  COOKIX_STEP_NAME="$1"
  COOKIX_STEP_START="$(now_ms)"
  say ""
  say "==> $1"
}

step_done() {
  if [[ -n "$COOKIX_STEP_NAME" ]]; then
    say "    done in $(elapsed "$COOKIX_STEP_START"): $COOKIX_STEP_NAME"
    COOKIX_STEP_NAME=""
  fi
}

# Explains itself when the machine is not one that this can work on.
check_machine() {
  local id="" version="" pretty="an unknown system"
  if [[ -r /etc/os-release ]]; then
    # shellcheck disable=SC1091
    id="$(. /etc/os-release && printf '%s' "${ID:-}")"
    # shellcheck disable=SC1091
    version="$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")"
    # shellcheck disable=SC1091
    pretty="$(. /etc/os-release && printf '%s' "${PRETTY_NAME:-$ID}")"
  fi
  if [[ "$id" != debian || "$version" != 12 ]]; then
    warn "This is $pretty; the build is made for Debian 12 (bookworm) and its packages."
    if [[ "${COOKIX_ANY_SYSTEM:-}" != 1 ]]; then
      die "not Debian 12" \
        "Use a Debian 12 machine or container (see Dockerfile)," \
        "or set COOKIX_ANY_SYSTEM=1 to try anyway."
    fi
  fi
  local command
  for command in apt-get dpkg-query awk sed grep mkdir cp; do
    command -v "$command" > /dev/null ||
      die "the command '$command' is missing" "It belongs to every Debian system: check PATH."
  done
}

# missing_packages KIND...: names of the listed packages that are not installed.
missing_packages() {
  local name kind probe want
  while read -r name kind probe; do
    [[ -z "$name" || "$name" == \#* ]] && continue
    for want in "$@"; do
      [[ "$kind" == "$want" ]] || continue
      if [[ -n "$probe" ]] && command -v "$probe" > /dev/null; then continue; fi
      if dpkg-query -W -f '${Status}' "$name" 2> /dev/null | grep -q '^install ok installed'; then
        continue
      fi
      printf '%s\n' "$name"
    done
  done < "$COOKIX_ROOT/tools/packages.txt"
}

as_root() {
  if [[ "$(id -u)" == 0 ]]; then
    "$@"
  elif command -v sudo > /dev/null; then
    sudo "$@"
  else
    die "packages have to be installed, which needs root" \
      "Run this as root, install sudo, or install them yourself:" "  apt-get install $missing_list"
  fi
}

# install_packages KIND...: installs what is missing, and only that.
install_packages() {
  local missing_list
  missing_list="$(missing_packages "$@" | tr '\n' ' ')"
  if [[ -z "${missing_list// /}" ]]; then
    say "    all packages are installed"
    return 0
  fi
  say "    missing: $missing_list"
  local apt=(apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -q)
  local -a names
  read -r -a names <<< "$missing_list"
  # Lists that were never fetched, or that name versions no longer there, are
  # refreshed; otherwise they are taken as they are.
  if ! apt-cache show "${names[@]}" > /dev/null 2>&1 ||
    ! as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends \
      "${names[@]}"; then
    as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" update ||
      die "apt-get update failed" "Check the network and /etc/apt/sources.list."
    as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends \
      "${names[@]}" ||
      die "apt-get install failed" "See its output above. Wanted: $missing_list"
  fi
  missing_list="$(missing_packages "$@" | tr '\n' ' ')"
  [[ -z "${missing_list// /}" ]] || die "still missing after the installation: $missing_list"
}

# build_bazel ARGUMENT...: `bazel ARGUMENT...` in the checkout, with the shared
# disk cache, reading nothing from the terminal.
run_bazel() {
  local command="$1"
  shift
  mkdir -p "$COOKIX_CACHE/bazel"
  local progress=(--color=no --curses=no --show_progress_rate_limit=15)
  if [[ -t 1 ]]; then progress=(--color=auto --curses=auto); fi
  (cd "$COOKIX_ROOT" && bazel "$command" --disk_cache="$COOKIX_CACHE/bazel" "${progress[@]}" \
    "$@" < /dev/null)
}

# port_free PORT: nothing listens on it on the loopback interface.
port_free() {
  ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}
