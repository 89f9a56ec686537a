#!/usr/bin/env bash
# Fuzzes one decoder or parser with clang's libFuzzer.
#
#   tools/fuzz.sh                        lists the targets
#   tools/fuzz.sh TARGET [SECONDS]       fuzzes (300 seconds by default)
#
# The corpus and what crashed are kept in .fuzz/TARGET (or COOKIX_FUZZ_DIR). Run a
# crash again with: bazel run --config=asan //tests/fuzz:TARGET_test -- /absolute/crash-file
set -euo pipefail

# shellcheck source=tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

targets() { sed -n '/cookix_fuzz_target(/,/)/s/^ *name = "\(.*\)",/\1/p' "$COOKIX_ROOT/tests/fuzz/BUILD.bazel"; }

if [[ $# -eq 0 || "$1" == -h || "$1" == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
  say "Targets:"
  targets | sed 's/^/  /'
  exit 0
fi
target="$1"
seconds="${2:-300}"
targets | grep -qx "$target" || die "there is no fuzz target '$target'" "tools/fuzz.sh lists them."
[[ "$seconds" =~ ^[0-9]+$ ]] || die "not a number of seconds: $seconds"

command -v clang > /dev/null || die "clang is missing" "apt-get install clang libclang-rt-14-dev"
install_packages build test
# A bazel of its own, so that the usual builds keep their toolchain.
(cd "$COOKIX_ROOT" &&
  bazel --output_base="$COOKIX_CACHE/fuzz-output" build --config=fuzz \
    --disk_cache="$COOKIX_CACHE/bazel" "//tests/fuzz:${target}_libfuzzer" < /dev/null)
program="$(cd "$COOKIX_ROOT" && bazel --output_base="$COOKIX_CACHE/fuzz-output" info \
  --config=fuzz bazel-bin 2> /dev/null)/tests/fuzz/${target}_libfuzzer"
(cd "$COOKIX_ROOT" && bazel --output_base="$COOKIX_CACHE/fuzz-output" shutdown)

corpus="${COOKIX_FUZZ_DIR:-$COOKIX_ROOT/.fuzz}/$target"
mkdir -p "$corpus/corpus"
COOKIX_WRITE_SEEDS="$corpus/corpus" "$program"
cd "$corpus"
exec "$program" -max_total_time="$seconds" -max_len=65536 -timeout=10 -print_final_stats=1 \
  -artifact_prefix="$corpus/" corpus
