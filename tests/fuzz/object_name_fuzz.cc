// Collection and key, read from an object's record without reading the rest.
#include "cookix/internal/v1/records.pb.h"
#include "engine/read_view.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = cookix::tests::FuzzInput(data, size);
  cookix::engine::CollectionId collection = 0;
  std::string key;
  const bool decoded = cookix::engine::DecodeObjectName(bytes, &collection, &key);
  cookix::internal::v1::ObjectRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return 0;
  FUZZ_CHECK(decoded);
  // As the engine writes it.
  const std::string written = record.SerializeAsString();
  FUZZ_CHECK(cookix::engine::DecodeObjectName(written, &collection, &key));
  FUZZ_CHECK(collection == record.collection_id());
  FUZZ_CHECK(key == record.key());
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  std::vector<std::string> seeds;
  cookix::internal::v1::ObjectRecord record;
  record.set_collection_id(1);
  record.set_key("rain");
  seeds.push_back(record.SerializeAsString());
  record.set_collection_id(70'000);
  record.set_exists(true);
  record.set_version(3);
  record.set_content("wet");
  (*record.mutable_properties())["size"].set_int_value(7);
  record.add_labels("weather");
  seeds.push_back(record.SerializeAsString());
  record.clear_key();
  seeds.push_back(record.SerializeAsString());
  return seeds;
}
