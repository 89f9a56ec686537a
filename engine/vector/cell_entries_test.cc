#include "engine/vector/cell_entries.h"

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr size_t kDimension = 10;

class CellEntriesTest : public testing::TestWithParam<Quantization> {
 protected:
  CellEntriesTest() : codec_(VectorCodec::Make(Metric::kL2, GetParam(), kDimension, {})) {}

  // Entries whose vectors hold their ordinals.
  std::string Section(const std::vector<uint64_t>& ordinals, float add = 0) const {
    CellEntryList list(*codec_);
    std::vector<uint8_t> code(codec_->code_bytes()), residue(codec_->residue_bytes() + 1);
    for (const uint64_t ordinal : ordinals) {
      const std::vector<float> v(kDimension, static_cast<float>(ordinal) + add);
      CellEntry entry;
      entry.ordinal = ordinal;
      codec_->Encode(v.data(), code.data(), residue.data(), &entry.params);
      entry.code = code.data();
      entry.residue = residue.data();
      list.Add(entry);
    }
    std::string section;
    list.AppendTo(&section);
    return section;
  }
  static std::string Removals(const std::vector<uint64_t>& ordinals) {
    std::string section;
    AppendRemovals(ordinals, &section);
    return section;
  }
  // Ordinals and the first components of their vectors.
  std::vector<std::pair<uint64_t, float>> Read(const std::string& value) {
    std::vector<std::pair<uint64_t, float>> read;
    const absl::Status status = contents_.Parse(*codec_, value);
    EXPECT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < contents_.size(); ++i) {
      float v[kDimension];
      codec_->Decode(contents_.codes[i], contents_.residues[i], contents_.params[i], v);
      read.emplace_back(contents_.ordinals[i], std::round(v[0] * 4) / 4);
    }
    return read;
  }
  using Pairs = std::vector<std::pair<uint64_t, float>>;

  const std::unique_ptr<const VectorCodec> codec_;
  CellContents contents_;
};

TEST_P(CellEntriesTest, SectionsAreReadInTheirOrder) {
  EXPECT_EQ(Read(""), Pairs());
  EXPECT_EQ(Section({}), "");
  EXPECT_EQ(Removals({}), "");
  std::string value = Section({3, 1});
  EXPECT_EQ(Read(value), (Pairs{{3, 3}, {1, 1}}));
  value += Removals({3, 9});
  EXPECT_EQ(Read(value), (Pairs{{1, 1}}));
  // A removal does not end what stands behind it.
  value += Section({3, 9}, 0.5f);
  EXPECT_EQ(Read(value), (Pairs{{1, 1}, {3, 3.5f}, {9, 9.5f}}));
  value += Removals({1}) + Removals({9, 3}) + Section({9}, 0.25f);
  EXPECT_EQ(Read(value), (Pairs{{9, 9.25f}}));
  EXPECT_EQ(Read(Removals({1}) + Section({1})), (Pairs{{1, 1}}));
}

// Floats, too, may lie anywhere.
TEST_P(CellEntriesTest, ValuesNeedNotBeAligned) {
  const std::string value = Section({5, 6, 7}) + Section({8});
  for (size_t offset = 0; offset < 8; ++offset) {
    const std::string moved = std::string(offset, 'x') + value;
    ASSERT_TRUE(contents_.Parse(*codec_, std::string_view(moved).substr(offset)).ok());
    ASSERT_EQ(contents_.size(), 4u);
    float v[kDimension];
    codec_->Decode(contents_.codes[3], contents_.residues[3], contents_.params[3], v);
    EXPECT_NEAR(v[kDimension - 1], 8, 1e-3);
  }
}

TEST_P(CellEntriesTest, EveryDamageIsFound) {
  const std::string value = Section({1, 2}) + Removals({1}) + Section({4});
  for (size_t size = 0; size < value.size(); ++size) {
    const absl::Status status = contents_.Parse(*codec_, value.substr(0, size));
    const bool is_whole = size == 0 || size == Section({1, 2}).size() ||
                          size == (Section({1, 2}) + Removals({1})).size();
    ASSERT_EQ(status.ok(), is_whole) << size;
    if (!is_whole) {
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss);
    }
  }
  for (size_t bit = 0; bit < 8 * value.size(); ++bit) {
    std::string damaged = value;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_EQ(contents_.Parse(*codec_, damaged).code(), absl::StatusCode::kDataLoss) << bit;
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, CellEntriesTest,
                         testing::Values(Quantization::kInt8, Quantization::kNone));

}  // namespace
}  // namespace cookix::engine
