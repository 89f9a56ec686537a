// Position tokens come from clients.
#include "storage/position.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view token = cookix::tests::FuzzInput(data, size);
  const auto position = cookix::storage::DecodePosition(token);
  // Only what EncodePosition made is accepted.
  if (position.ok()) FUZZ_CHECK(cookix::storage::EncodePosition(*position) == token);
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  storage::Position position;
  for (size_t i = 0; i < position.store.size(); ++i)
    position.store[i] = static_cast<uint8_t>(i * 7);
  std::vector<std::string> seeds;
  for (const uint64_t number : {uint64_t{0}, uint64_t{1}, uint64_t{300}, ~uint64_t{0}}) {
    position.epoch = number;
    position.commit = number / 2;
    seeds.push_back(storage::EncodePosition(position));
  }
  return seeds;
}
