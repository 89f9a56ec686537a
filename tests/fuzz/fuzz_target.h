// What each fuzz target provides: the function that libFuzzer calls, and inputs
// to start from. A target lives in a file of its own and is built twice: with
// fuzz_driver.cc as an ordinary test that runs thousands of mutated inputs, the
// same ones each time, and with clang's libFuzzer (tools/fuzz.sh).
#ifndef COOKIX_TESTS_FUZZ_FUZZ_TARGET_H_
#define COOKIX_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

// Must not crash, hang, read out of bounds or break a promise, whatever it gets.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace cookix::tests {

// Valid inputs, and some nearly valid ones.
std::vector<std::string> FuzzSeeds();

inline std::string_view FuzzInput(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes the front of an input as parameters. Zeros when it is used up.
inline uint64_t TakeNumber(std::string_view* input, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes && !input->empty(); ++i) {
    value = value << 8 | static_cast<uint8_t>(input->front());
    input->remove_prefix(1);
  }
  return value;
}

}  // namespace cookix::tests

// A promise that must hold for every input.
#define FUZZ_CHECK(condition)                                                              \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      std::fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                        \
    }                                                                                      \
  } while (false)

#endif  // COOKIX_TESTS_FUZZ_FUZZ_TARGET_H_
