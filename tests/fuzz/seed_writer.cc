// Writes a target's seeds into a directory, as libFuzzer's first corpus.
//
// Linked into the libFuzzer build: when COOKIX_WRITE_SEEDS names a directory, the
// program writes the seeds there and exits instead of fuzzing.
#include <fstream>

#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const char* directory = std::getenv("COOKIX_WRITE_SEEDS");
  if (directory == nullptr) return 0;
  int number = 0;
  for (const std::string& seed : cookix::tests::FuzzSeeds()) {
    std::ofstream(std::string(directory) + "/seed-" + std::to_string(number++), std::ios::binary)
        << seed;
  }
  std::exit(0);
}
