// Keys and values of edges, read from the store by the million.
#include <cstring>

#include "engine/records.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = cookix::tests::FuzzInput(data, size);
  cookix::engine::EdgeValue value;
  if (cookix::engine::DecodeEdgeValue(bytes, &value)) {
    std::string encoded;
    cookix::engine::EncodeEdgeValue(value, &encoded);
    cookix::engine::EdgeValue again;
    FUZZ_CHECK(cookix::engine::DecodeEdgeValue(encoded, &again));
    // Weights compare by their bits: NaN stays what it was.
    FUZZ_CHECK(std::memcmp(&again.weight, &value.weight, sizeof value.weight) == 0);
    FUZZ_CHECK(again.version == value.version && again.id == value.id);
    FUZZ_CHECK(again.valid_from_ms == value.valid_from_ms);
    FUZZ_CHECK(again.valid_until_ms == value.valid_until_ms);
    FUZZ_CHECK(again.properties == value.properties);
  }
  cookix::engine::EdgeKey key;
  if (cookix::engine::DecodeEdgeKey(bytes, &key)) {
    FUZZ_CHECK(cookix::engine::EncodeEdgeKey(key.ns, key.near, key.relation, key.far,
                                             key.discriminator) == bytes);
  }
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  std::vector<std::string> seeds;
  engine::EdgeValue value;
  value.version = 300;
  value.id = 70'000;
  seeds.emplace_back();
  engine::EncodeEdgeValue(value, &seeds.back());
  value.weight = 0.25;
  value.valid_from_ms = -5;
  value.valid_until_ms = 1'700'000'000'000;
  value.properties = "\x0a\x03\x0a\x01p";
  seeds.emplace_back();
  engine::EncodeEdgeValue(value, &seeds.back());
  seeds.push_back(engine::EncodeEdgeKey(1, 2, 3, 4, ""));
  seeds.push_back(engine::EncodeEdgeKey(1, 1ULL << 39, 77, 5, "interval"));
  return seeds;
}
