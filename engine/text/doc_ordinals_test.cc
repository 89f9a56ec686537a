// Packed ordinals against a plain array.
#include "engine/text/doc_ordinals.h"

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "storage/memory_checked_file.h"

namespace cookix::engine {
namespace {

// `count` ordinals of which about one in `every` is there.
std::vector<Ordinal> Ascending(size_t count, uint64_t every, std::mt19937_64* random) {
  std::vector<Ordinal> ordinals;
  Ordinal last = (*random)() % 1000;
  for (size_t i = 0; i < count; ++i) ordinals.push_back(last += 1 + (*random)() % every);
  return ordinals;
}

void ExpectSame(const DocOrdinals& packed, const std::vector<Ordinal>& plain,
                std::mt19937_64* random) {
  ASSERT_EQ(packed.size(), plain.size());
  for (uint32_t doc = 0; doc < plain.size(); ++doc) ASSERT_EQ(packed[doc], plain[doc]) << doc;
  for (int i = 0; i < 500; ++i) {
    const auto from = static_cast<uint32_t>((*random)() % (plain.size() + 1));
    Ordinal wanted = plain[(*random)() % plain.size()] + (*random)() % 3 - 1;
    if (i == 0) wanted = 0;
    if (i == 1) wanted = std::numeric_limits<Ordinal>::max();
    const auto found = std::lower_bound(plain.begin() + from, plain.end(), wanted);
    ASSERT_EQ(packed.LowerBound(from, wanted), static_cast<uint32_t>(found - plain.begin()))
        << wanted << " from " << from;
  }
}

TEST(DocOrdinalsTest, ReadsWhatItWasMadeOf) {
  std::mt19937_64 random(1);
  for (const uint64_t every : {1ull, 2ull, 10ull, 1000ull, 1ull << 40, 1ull << 52}) {
    for (const size_t count : {1, 2, 127, 128, 129, 256, 1000}) {
      SCOPED_TRACE(testing::Message() << count << " of every " << every);
      const std::vector<Ordinal> plain = Ascending(count, every, &random);
      ExpectSame(DocOrdinals(plain), plain, &random);
    }
  }
}

TEST(DocOrdinalsTest, TakesEveryDistance) {
  std::mt19937_64 random(2);
  for (int bits = 0; bits < 64; ++bits) {
    std::vector<Ordinal> plain;
    for (Ordinal i = 0; i < 200; ++i) plain.push_back(i < 60 ? i : (Ordinal{1} << bits) + 200 + i);
    ExpectSame(DocOrdinals(plain), plain, &random);
  }
  const std::vector<Ordinal> far = {0, std::numeric_limits<Ordinal>::max()};
  ExpectSame(DocOrdinals(far), far, &random);
}

TEST(DocOrdinalsTest, TakesLittleWithoutGaps) {
  std::mt19937_64 random(3);
  EXPECT_LE(DocOrdinals(Ascending(12'800, 1, &random)).MemoryBytes(), 12'800 / 8 + 16);
}

TEST(DocOrdinalsTest, LoadsWhatWasSaved) {
  std::mt19937_64 random(4);
  for (const size_t count : {1, 128, 777}) {
    const std::vector<Ordinal> plain = Ascending(count, 9, &random);
    storage::MemoryFileWriter file;
    ASSERT_TRUE(DocOrdinals(plain).Save(file).ok());
    DocOrdinals loaded;
    storage::MemoryFileReader reader(file.contents);
    ASSERT_TRUE(loaded.Load(1000, reader).ok());
    ExpectSame(loaded, plain, &random);
    storage::MemoryFileReader again(file.contents);
    EXPECT_TRUE(absl::IsDataLoss(loaded.Load(count - 1, again)));
  }
}

// Whatever is in the file: ascending ordinals, or an error.
TEST(DocOrdinalsTest, RefusesWhatMakesNoSense) {
  std::mt19937_64 random(5);
  storage::MemoryFileWriter file;
  ASSERT_TRUE(DocOrdinals(Ascending(300, 9, &random)).Save(file).ok());
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = file.contents;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    storage::MemoryFileReader reader(damaged);
    DocOrdinals loaded;
    const absl::Status status = loaded.Load(1000, reader);
    if (!status.ok()) {
      ASSERT_TRUE(absl::IsDataLoss(status)) << status;
      ++refused;
      continue;
    }
    for (uint32_t doc = 1; doc < loaded.size(); ++doc) ASSERT_LT(loaded[doc - 1], loaded[doc]);
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace cookix::engine
