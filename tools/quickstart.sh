#!/usr/bin/env bash
# Builds CookiX, starts a server on this machine, loads a real knowledge graph
# (Debian's package index) and asks it questions. Needs nothing but Debian 12.
#
#   tools/quickstart.sh           do all that; run it again at will
#   tools/quickstart.sh --stop    stop the server it left running
#   tools/quickstart.sh --status  say whether that server runs
#
# COOKIX_QUICKSTART_DIR  where programs, data and logs go (.quickstart in the checkout)
# COOKIX_QUICKSTART_PORT port to listen on (7625, or a free one when that is taken)
set -euo pipefail

# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

base="${COOKIX_QUICKSTART_DIR:-$COOKIX_ROOT/.quickstart}"
mkdir -p "$base" || die "cannot create $base" "Set COOKIX_QUICKSTART_DIR to a directory you may write."
base="$(cd "$base" && pwd -P)"
bin="$base/bin"
data="$base/data"
log="$base/cookixd.log"
pid_file="$base/cookixd.pid"
port_file="$base/cookixd.port"

# Prints the process id of our server when it runs.
our_pid() {
  local pid exe
  [[ -s "$pid_file" ]] || return 1
  pid="$(< "$pid_file")"
  [[ "$pid" =~ ^[0-9]+$ ]] || return 1
  exe="$(readlink "/proc/$pid/exe" 2> /dev/null)" || return 1
  # A program replaced by a newer build shows as deleted but is ours all the same.
  [[ "${exe% (deleted)}" == "$bin/cookixd" ]] || return 1
  printf '%s' "$pid"
}

stop_server() {
  local pid
  if ! pid="$(our_pid)"; then
    say "No server of this quickstart is running."
    return 0
  fi
  kill -TERM "$pid"
  local waited=0
  while our_pid > /dev/null; do
    if ((waited++ >= 300)); then
      die "the server (process $pid) did not stop within 30 seconds" "Its log: $log"
    fi
    sleep 0.1
  done
  rm -f "$pid_file" "$port_file"
  say "Stopped the server. Its data stays in $data"
}

case "${1:-}" in
  "") ;;
  --stop)
    stop_server
    exit 0
    ;;
  --status)
    if pid="$(our_pid)"; then
      say "Running: process $pid on 127.0.0.1:$(cat "$port_file" 2> /dev/null || printf '?')"
      exit 0
    fi
    say "Not running."
    exit 3
    ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    die "unknown argument: $1"
    ;;
esac
[[ $# -le 1 ]] || die "too many arguments" "See tools/quickstart.sh --help"

begin="$(now_ms)"

step "Checking this machine"
check_machine
free_kib="$(df -Pk "$base" | awk 'NR == 2 { print $4 }')"
if ((free_kib < 2 * 1024 * 1024)); then
  warn "    only $((free_kib / 1024)) MiB are free in $base; building takes about 2 GiB"
fi
say "    $(nproc) cores, $(awk '/^MemTotal/ { printf "%.1f", $2 / 1048576 }' /proc/meminfo) GiB of memory"

step "Installing missing packages"
install_packages build

step "Building the server and the command line tool (optimised)"
say "    the first build takes some minutes, later ones seconds"
run_bazel build --config=release //server:cookixd //tools/cli:cookix ||
  die "the build failed" "The first error is above."
mkdir -p "$bin" "$data"
built="$(cd "$COOKIX_ROOT" && bazel info --config=release bazel-bin 2> /dev/null)"
for program in server/cookixd tools/cli/cookix; do
  name="$(basename "$program")"
  # By way of a rename, so that a program that runs is left alone.
  if ! cmp -s "$built/$program" "$bin/$name"; then
    cp "$built/$program" "$bin/.$name.new"
    chmod 755 "$bin/.$name.new"
    mv -f "$bin/.$name.new" "$bin/$name"
  fi
done

step "Starting the server"
cookix="$bin/cookix"
start_server() {
  local listen="$1" pid waited=0
  rm -f "$port_file"
  # Metrics have a port of their own; they are left out when it is taken.
  local metrics=127.0.0.1:7626
  port_free 7626 || metrics=""
  # Its own session, no terminal, no input: it outlives this script.
  setsid "$bin/cookixd" --listen="$listen" --data_dir="$data" --port_file="$port_file" \
    --metrics_listen="$metrics" < /dev/null >> "$log" 2>&1 &
  pid=$!
  disown "$pid" 2> /dev/null || true
  printf '%s\n' "$pid" > "$pid_file"
  until [[ -s "$port_file" ]]; do
    if ! kill -0 "$pid" 2> /dev/null; then
      wait "$pid" 2> /dev/null || true
      rm -f "$pid_file"
      return 1
    fi
    if ((waited++ >= 1200)); then
      die "the server did not come up within two minutes" "Its log: $log"
    fi
    sleep 0.1
  done
}
if pid="$(our_pid)" && [[ -s "$port_file" ]]; then
  say "    already running (process $pid): it is used as it is"
  if [[ "$(readlink "/proc/$pid/exe")" == *"(deleted)" ]]; then
    say "    a newer build is in place: tools/quickstart.sh --stop and run this again to use it"
  fi
else
  port="${COOKIX_QUICKSTART_PORT:-7625}"
  [[ "$port" =~ ^[0-9]+$ ]] || die "COOKIX_QUICKSTART_PORT is not a port number: $port"
  if ((port != 0)) && ! port_free "$port"; then
    say "    port $port is taken by another program: using a free one"
    port=0
  fi
  if ! start_server "127.0.0.1:$port"; then
    warn "    the server did not start; the end of its log ($log):"
    tail -n 15 "$log" >&2 || true
    die "cookixd did not start" "The reason is in the lines above."
  fi
fi
port="$(< "$port_file")"
export COOKIX_SERVER="127.0.0.1:$port"
waited=0
until "$cookix" info > /dev/null 2>&1; do
  if ((waited++ >= 300)) || ! our_pid > /dev/null; then
    "$cookix" info || true
    tail -n 15 "$log" >&2 || true
    die "the server does not answer on $COOKIX_SERVER" "Its log: $log"
  fi
  sleep 0.2
done
say "    it answers on $COOKIX_SERVER"

step "Loading Debian's package index and asking questions"
"$cookix" demo packages < /dev/null || die "the demonstration failed" "The server's log: $log"
step_done

shown_bin="$bin"
[[ "$bin" == "$PWD"/* ]] && shown_bin="./${bin#"$PWD"/}"
# Plain `cookix` talks to 127.0.0.1:7625; say the address when it is another.
server=""
[[ "$port" == 7625 ]] || server=" --server 127.0.0.1:$port"
say ""
say "All done in $(elapsed "$begin"). The server keeps running on 127.0.0.1:$port (gRPC)."
say ""
say "  Look around:   $shown_bin/cookix$server info"
say "  Ask:           $shown_bin/cookix$server query --help"
say "  Put an object: $shown_bin/cookix$server put hello --content 'My first object'"
say "  Data:          $data"
say "  Log:           $log"
stop="$COOKIX_ROOT/tools/quickstart.sh --stop"
[[ -z "${COOKIX_QUICKSTART_DIR:-}" ]] || stop="COOKIX_QUICKSTART_DIR='$base' $stop"
say "  Stop it:       $stop"
