#include "engine/vector/vector_field.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using v1::VectorField;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

VectorField Field(int32_t dimension, const std::function<void(VectorField&)>& change = {}) {
  VectorField field;
  field.set_name("v");
  field.set_dimension(dimension);
  if (change) change(field);
  return field;
}

VectorField Resolved(int32_t dimension, const std::function<void(VectorField&)>& change = {}) {
  absl::StatusOr<VectorField> field = ResolveVectorField(Field(dimension, change), "f");
  EXPECT_TRUE(field.ok()) << field.status();
  return field.ok() ? *field : VectorField();
}

v1::Vector Dense(const std::vector<float>& values) {
  v1::Vector vector;
  vector.mutable_values()->Add(values.begin(), values.end());
  return vector;
}

v1::Vector Sparse(const std::vector<uint32_t>& indices, const std::vector<float>& values) {
  v1::Vector vector = Dense(values);
  vector.mutable_indices()->Add(indices.begin(), indices.end());
  return vector;
}

v1::Vector Bits(const std::string& bits) {
  v1::Vector vector;
  vector.set_bits(bits);
  return vector;
}

void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& reason,
                 const std::string& field) {
  EXPECT_EQ(status.code(), code) << status;
  const std::optional<ErrorDetail> detail = GetErrorDetail(status);
  ASSERT_TRUE(detail.has_value()) << status;
  EXPECT_EQ(detail->reason, reason) << status;
  EXPECT_EQ(detail->field, field) << status;
  EXPECT_FALSE(detail->remedy.empty()) << status;
}

void ExpectInvalid(const absl::Status& status, const std::string& field,
                   const std::string& reason = "INVALID_FIELD") {
  ExpectError(status, absl::StatusCode::kInvalidArgument, reason, field);
}

TEST(VectorFieldTest, FillsInWhatTheContractSays) {
  const VectorField hnsw = Resolved(128);
  EXPECT_EQ(hnsw.metric(), v1::VECTOR_METRIC_COSINE);
  EXPECT_EQ(hnsw.index(), v1::VECTOR_INDEX_KIND_HNSW);
  EXPECT_EQ(hnsw.quantization(), v1::VECTOR_QUANTIZATION_INT8);
  EXPECT_EQ(hnsw.aggregate(), v1::VECTOR_AGGREGATE_UNSPECIFIED);
  EXPECT_EQ(hnsw.hnsw().m(), 16);
  EXPECT_EQ(hnsw.hnsw().ef_construction(), 200);
  EXPECT_EQ(hnsw.hnsw().ef_search(), 64);
  EXPECT_FALSE(hnsw.has_cells());

  const VectorField cells =
      Resolved(128, [](VectorField& f) { f.set_index(v1::VECTOR_INDEX_KIND_CELLS); });
  EXPECT_EQ(cells.quantization(), v1::VECTOR_QUANTIZATION_INT8);
  EXPECT_EQ(cells.cells().max_variance(), 0.15);
  EXPECT_EQ(cells.cells().max_cell_size(), 1024);
  EXPECT_EQ(cells.cells().max_drift(), 0.03);
  // The index finds out.
  EXPECT_FALSE(cells.cells().has_cells_probed());
  EXPECT_FALSE(cells.has_hnsw());

  const VectorField flat =
      Resolved(3, [](VectorField& f) { f.set_index(v1::VECTOR_INDEX_KIND_FLAT); });
  EXPECT_EQ(flat.quantization(), v1::VECTOR_QUANTIZATION_NONE);
  EXPECT_FALSE(flat.has_hnsw());

  const VectorField sparse = Resolved(0);
  EXPECT_EQ(sparse.metric(), v1::VECTOR_METRIC_DOT);
  EXPECT_EQ(sparse.index(), v1::VECTOR_INDEX_KIND_SPARSE);
  EXPECT_EQ(sparse.quantization(), v1::VECTOR_QUANTIZATION_NONE);

  const VectorField bits =
      Resolved(100, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_HAMMING); });
  EXPECT_EQ(bits.index(), v1::VECTOR_INDEX_KIND_HNSW);
  EXPECT_EQ(bits.quantization(), v1::VECTOR_QUANTIZATION_NONE);

  const VectorField multi = Resolved(4, [](VectorField& f) { f.set_multi(true); });
  EXPECT_EQ(multi.aggregate(), v1::VECTOR_AGGREGATE_MAX);

  for (const VectorField& field : {hnsw, cells, flat, sparse, bits, multi}) {
    absl::StatusOr<VectorField> again = ResolveVectorField(field, "f");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->SerializeAsString(), field.SerializeAsString());
  }
}

TEST(VectorFieldTest, KeepsWhatIsSet) {
  const VectorField field = Resolved(65'536, [](VectorField& f) {
    f.set_metric(v1::VECTOR_METRIC_L2);
    f.set_quantization(v1::VECTOR_QUANTIZATION_PRODUCT);
    f.mutable_hnsw()->set_m(128);
    f.mutable_hnsw()->set_ef_construction(128);
    f.mutable_hnsw()->set_ef_search(10'000);
    f.mutable_cells();  // empty, so nothing is set
  });
  EXPECT_EQ(field.metric(), v1::VECTOR_METRIC_L2);
  EXPECT_EQ(field.quantization(), v1::VECTOR_QUANTIZATION_PRODUCT);
  EXPECT_EQ(field.hnsw().m(), 128);
  EXPECT_EQ(field.hnsw().ef_construction(), 128);
  EXPECT_EQ(field.hnsw().ef_search(), 10'000);
}

TEST(VectorFieldTest, RefusesSettingsThatAreWrong) {
  struct Case {
    int32_t dimension;
    std::function<void(VectorField&)> change;
    std::string field;
    std::string reason = "INVALID_FIELD";
  };
  const auto index = [](v1::VectorIndexKind kind) {
    return [kind](VectorField& f) { f.set_index(kind); };
  };
  const auto hnsw = [](void (v1::HnswSettings::*set)(int32_t), int32_t value) {
    return [=](VectorField& f) { (f.mutable_hnsw()->*set)(value); };
  };
  const auto cells = [](auto set, auto value) {
    return [=](VectorField& f) {
      f.set_index(v1::VECTOR_INDEX_KIND_CELLS);
      (f.mutable_cells()->*set)(value);
    };
  };
  using H = v1::HnswSettings;
  using C = v1::CellSettings;
  const std::vector<Case> cases = {
      {3, [](VectorField& f) { f.clear_name(); }, "f.name"},
      {3, [](VectorField& f) { f.set_name(std::string(257, 'a')); }, "f.name", "LIMIT_EXCEEDED"},
      {3, [](VectorField& f) { f.set_name("a\nb"); }, "f.name"},
      {3, [](VectorField& f) { f.set_name("\xff"); }, "f.name"},
      {-1, {}, "f.dimension"},
      {65'537, {}, "f.dimension"},
      {3, [](VectorField& f) { f.set_metric(static_cast<v1::VectorMetric>(9)); }, "f.metric"},
      {3, [](VectorField& f) { f.set_index(static_cast<v1::VectorIndexKind>(9)); }, "f.index"},
      {3, [](VectorField& f) { f.set_quantization(static_cast<v1::VectorQuantization>(9)); },
       "f.quantization"},
      {3, [](VectorField& f) { f.set_aggregate(static_cast<v1::VectorAggregate>(9)); },
       "f.aggregate"},
      {3,
       [](VectorField& f) {
         f.set_index(v1::VECTOR_INDEX_KIND_CELLS);
         f.set_quantization(v1::VECTOR_QUANTIZATION_PRODUCT);
       },
       "f.quantization"},
      // Sparse.
      {0, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_COSINE); }, "f.metric"},
      {0, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_L2); }, "f.metric"},
      {0, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_HAMMING); }, "f.metric"},
      {0, index(v1::VECTOR_INDEX_KIND_HNSW), "f.index"},
      {0, index(v1::VECTOR_INDEX_KIND_FLAT), "f.index"},
      {0, [](VectorField& f) { f.set_quantization(v1::VECTOR_QUANTIZATION_INT8); },
       "f.quantization"},
      {0, [](VectorField& f) { f.set_multi(true); }, "f.multi"},
      {0, hnsw(&H::set_ef_search, 5), "f.hnsw"},
      {3, index(v1::VECTOR_INDEX_KIND_SPARSE), "f.index"},
      // Bits.
      {8,
       [](VectorField& f) {
         f.set_metric(v1::VECTOR_METRIC_HAMMING);
         f.set_index(v1::VECTOR_INDEX_KIND_CELLS);
       },
       "f.index"},
      {8,
       [](VectorField& f) {
         f.set_metric(v1::VECTOR_METRIC_HAMMING);
         f.set_quantization(v1::VECTOR_QUANTIZATION_BINARY);
       },
       "f.quantization"},
      {8,
       [](VectorField& f) {
         f.set_metric(v1::VECTOR_METRIC_HAMMING);
         f.set_multi(true);
       },
       "f.multi"},
      // Combinations.
      {3,
       [](VectorField& f) {
         f.set_index(v1::VECTOR_INDEX_KIND_FLAT);
         f.set_quantization(v1::VECTOR_QUANTIZATION_INT8);
       },
       "f.quantization"},
      {3,
       [](VectorField& f) {
         f.set_index(v1::VECTOR_INDEX_KIND_CELLS);
         f.set_multi(true);
       },
       "f.multi"},
      {3, [](VectorField& f) { f.set_aggregate(v1::VECTOR_AGGREGATE_MEAN); }, "f.aggregate"},
      {3, [](VectorField& f) { f.mutable_cells()->set_cells_probed(4); }, "f.cells"},
      {3,
       [](VectorField& f) {
         f.set_index(v1::VECTOR_INDEX_KIND_FLAT);
         f.mutable_hnsw()->set_m(8);
       },
       "f.hnsw"},
      {3,
       [](VectorField& f) {
         f.set_index(v1::VECTOR_INDEX_KIND_CELLS);
         f.mutable_hnsw()->set_m(8);
       },
       "f.hnsw"},
      // Ranges.
      {3, hnsw(&H::set_m, 3), "f.hnsw.m"},
      {3, hnsw(&H::set_m, -1), "f.hnsw.m"},
      {3, hnsw(&H::set_m, 129), "f.hnsw.m"},
      {3, hnsw(&H::set_ef_construction, 15), "f.hnsw.ef_construction"},
      {3, hnsw(&H::set_ef_construction, 4097), "f.hnsw.ef_construction"},
      {3, hnsw(&H::set_ef_search, -1), "f.hnsw.ef_search"},
      {3, hnsw(&H::set_ef_search, 10'001), "f.hnsw.ef_search"},
      {3, cells(&C::set_max_variance, -0.1), "f.cells.max_variance"},
      {3, cells(&C::set_max_variance, static_cast<double>(kNan)), "f.cells.max_variance"},
      {3, cells(&C::set_max_variance, static_cast<double>(kInfinity)), "f.cells.max_variance"},
      {3, cells(&C::set_max_drift, -0.1), "f.cells.max_drift"},
      {3, cells(&C::set_max_drift, 3.2), "f.cells.max_drift"},
      {3, cells(&C::set_max_cell_size, 63), "f.cells.max_cell_size"},
      {3, cells(&C::set_max_cell_size, 65'537), "f.cells.max_cell_size"},
      {3, cells(&C::set_cells_probed, -1), "f.cells.cells_probed"},
      {3, cells(&C::set_cells_probed, 10'001), "f.cells.cells_probed"},
  };
  for (const Case& one : cases) {
    const VectorField field = Field(one.dimension, one.change);
    SCOPED_TRACE(field.ShortDebugString());
    ExpectInvalid(ResolveVectorField(field, "f").status(), one.field, one.reason);
  }
}

TEST(VectorFieldTest, WhatEarlierVersionsStoredIsResolved) {
  // They knew name, dimension and metric, and checked that these were in range.
  for (const int32_t dimension : {0, 1, 65'536}) {
    for (int metric = 0; metric <= v1::VECTOR_METRIC_HAMMING; ++metric) {
      VectorField old = Field(dimension);
      old.set_metric(static_cast<v1::VectorMetric>(metric));
      absl::StatusOr<VectorField> field = ResolveStoredVectorField(old);
      ASSERT_TRUE(field.ok()) << old.ShortDebugString() << field.status();
      EXPECT_NE(field->index(), v1::VECTOR_INDEX_KIND_UNSPECIFIED);
      EXPECT_EQ(IsSparse(*field), dimension == 0);
    }
  }
}

TEST(VectorFieldTest, FrozenSettingsStayAsTheyAre) {
  const VectorField existing = Resolved(3);
  struct Case {
    std::function<void(VectorField&)> change;
    std::string field, expected, given;
  };
  const std::vector<Case> cases = {
      {[](VectorField& f) { f.set_dimension(4); }, "dimension", "3", "4"},
      {[](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_L2); }, "metric", "COSINE", "L2"},
      {[](VectorField& f) { f.set_index(v1::VECTOR_INDEX_KIND_FLAT); }, "index", "HNSW", "FLAT"},
      {[](VectorField& f) { f.set_quantization(v1::VECTOR_QUANTIZATION_NONE); }, "quantization",
       "INT8", "NONE"},
      {[](VectorField& f) { f.set_multi(true); }, "multi", "false", "true"},
      {[](VectorField& f) { f.set_aggregate(v1::VECTOR_AGGREGATE_MEAN); }, "aggregate",
       "UNSPECIFIED", "MEAN"},
      {[](VectorField& f) { f.mutable_hnsw()->set_m(17); }, "hnsw.m", "16", "17"},
      {[](VectorField& f) { f.mutable_hnsw()->set_ef_construction(201); }, "hnsw.ef_construction",
       "200", "201"},
  };
  for (const Case& one : cases) {
    VectorField given;
    given.set_name("v");
    one.change(given);
    for (const absl::Status& status :
         {CheckUnchanged(existing, given, "f"), ChangeVectorField(existing, given, "f").status()}) {
      ExpectError(status, absl::StatusCode::kFailedPrecondition, "FROZEN_SETTING",
                  "f." + one.field);
      EXPECT_NE(status.message().find(one.expected), absl::string_view::npos) << status;
      EXPECT_NE(status.message().find(one.given), absl::string_view::npos) << status;
    }
  }
  EXPECT_TRUE(CheckUnchanged(existing, existing, "f").ok());
  EXPECT_TRUE(CheckUnchanged(existing, VectorField(), "f").ok());
}

TEST(VectorFieldTest, ChangeableSettingsChange) {
  VectorField given;
  given.mutable_hnsw()->set_ef_search(99);
  absl::StatusOr<VectorField> changed = ChangeVectorField(Resolved(3), given, "f");
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->hnsw().ef_search(), 99);
  EXPECT_EQ(changed->hnsw().m(), 16);
  EXPECT_EQ(changed->name(), "v");

  const VectorField cells =
      Resolved(3, [](VectorField& f) { f.set_index(v1::VECTOR_INDEX_KIND_CELLS); });
  VectorField more;
  more.mutable_cells()->set_max_variance(0.3);
  more.mutable_cells()->set_max_cell_size(2048);
  more.mutable_cells()->set_max_drift(0.1);
  more.mutable_cells()->set_cells_probed(8);
  changed = ChangeVectorField(cells, more, "f");
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->cells().SerializeAsString(), more.cells().SerializeAsString());
  // What is not said stays, and what is said to be found out is.
  VectorField less;
  less.mutable_cells()->set_max_drift(0.2);
  changed = ChangeVectorField(*changed, less, "f");
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->cells().cells_probed(), 8);
  less.mutable_cells()->set_cells_probed(0);
  changed = ChangeVectorField(*changed, less, "f");
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_FALSE(changed->cells().has_cells_probed());

  // Out of range, or of another index.
  more.mutable_cells()->set_cells_probed(10'001);
  ExpectInvalid(ChangeVectorField(cells, more, "f").status(), "f.cells.cells_probed");
  ExpectInvalid(ChangeVectorField(cells, given, "f").status(), "f.hnsw");
  more.mutable_cells()->set_cells_probed(1);
  ExpectInvalid(ChangeVectorField(Resolved(3), more, "f").status(), "f.cells");
}

TEST(VectorFieldTest, FieldsAreFoundByName) {
  v1::Collection collection;
  EXPECT_EQ(FindVectorField(collection, ""), nullptr);
  ExpectError(RequireVectorField(collection, "", "field").status(), absl::StatusCode::kNotFound,
              "FIELD_NOT_FOUND", "field");
  collection.add_vector_fields()->set_name("a");
  EXPECT_EQ(FindVectorField(collection, ""), &collection.vector_fields(0));
  collection.add_vector_fields()->set_name("b");
  EXPECT_EQ(*RequireVectorField(collection, "b", "field"), &collection.vector_fields(1));
  ExpectInvalid(RequireVectorField(collection, "", "field").status(), "field");
  ExpectError(RequireVectorField(collection, "c", "field").status(), absl::StatusCode::kNotFound,
              "FIELD_NOT_FOUND", "field");
}

TEST(VectorFieldTest, DenseVectors) {
  const VectorField cosine = Resolved(3);
  const VectorField l2 = Resolved(3, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_L2); });
  EXPECT_TRUE(CheckVector(cosine, Dense({1, 2, 3}), "v").ok());
  EXPECT_TRUE(CheckVector(l2, Dense({0, 0, 0}), "v").ok());
  EXPECT_TRUE(CheckVector(cosine, Dense({-1e18f, 1e18f, 0}), "v").ok());
  EXPECT_TRUE(CheckVector(cosine, Dense({1e-18f, 0, 0}), "v").ok());

  const absl::Status wrong = CheckVector(cosine, Dense({1, 2}), "v");
  ExpectInvalid(wrong, "v");
  EXPECT_NE(wrong.message().find("2 components, expected 3"), absl::string_view::npos) << wrong;
  ExpectInvalid(CheckVector(cosine, Dense({}), "v"), "v");
  ExpectInvalid(CheckVector(cosine, Dense({1, 2, 3, 4}), "v"), "v");
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    for (const VectorField& field : {cosine, l2}) {
      for (size_t i = 0; i < 3; ++i) {
        std::vector<float> values = {1, 2, 3};
        values[i] = bad;
        const absl::Status status = CheckVector(field, Dense(values), "v");
        ExpectInvalid(status, "v");
        EXPECT_NE(status.message().find("not finite"), absl::string_view::npos) << status;
      }
    }
  }
  ExpectInvalid(CheckVector(cosine, Dense({0, 0, 0}), "v"), "v");
  ExpectInvalid(CheckVector(cosine, Dense({0, -0.0f, 0}), "v"), "v");
  // In float its length would be zero.
  ExpectInvalid(CheckVector(cosine, Dense({1e-30f, 0, 0}), "v"), "v");
  // In float the square of its length would be infinite.
  ExpectInvalid(CheckVector(l2, Dense({2e19f, 0, 0}), "v"), "v");
  ExpectInvalid(CheckVector(l2, Dense({std::numeric_limits<float>::max(), 0, 0}), "v"), "v");
  // And here that of the difference to its opposite.
  ExpectInvalid(CheckVector(l2, Dense({1e19f, 0, 0}), "v"), "v");
  ExpectInvalid(CheckVector(cosine, Bits("abc"), "v"), "v");
  ExpectInvalid(CheckVector(cosine, Sparse({0, 1, 2}, {1, 2, 3}), "v"), "v");
  v1::Vector both = Dense({1, 2, 3});
  both.set_bits("x");
  ExpectInvalid(CheckVector(cosine, both, "v"), "v");
}

TEST(VectorFieldTest, SeveralVectors) {
  const VectorField field = Resolved(2, [](VectorField& f) { f.set_multi(true); });
  EXPECT_TRUE(CheckVector(field, Dense({1, 2}), "v").ok());
  EXPECT_TRUE(CheckVector(field, Dense({1, 2, 3, 4, 5, 6}), "v").ok());
  EXPECT_TRUE(CheckVector(field, Dense(std::vector<float>(2000, 1)), "v").ok());
  ExpectInvalid(CheckVector(field, Dense({}), "v"), "v");
  ExpectInvalid(CheckVector(field, Dense({1, 2, 3}), "v"), "v");
  ExpectInvalid(CheckVector(field, Dense(std::vector<float>(2002, 1)), "v"), "v", "LIMIT_EXCEEDED");
  // The last of them is zero.
  ExpectInvalid(CheckVector(field, Dense({1, 2, 3, 4, 0, 0}), "v"), "v");
  ExpectInvalid(CheckVector(field, Dense({1, 2, 3, kNan}), "v"), "v");
}

TEST(VectorFieldTest, VectorsOfBits) {
  const VectorField field =
      Resolved(12, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_HAMMING); });
  EXPECT_TRUE(CheckVector(field, Bits("\xff\x0f"), "v").ok());
  EXPECT_TRUE(CheckVector(field, Bits(std::string(2, '\0')), "v").ok());
  ExpectInvalid(CheckVector(field, Bits("\xff"), "v"), "v");
  ExpectInvalid(CheckVector(field, Bits("\xff\x0f\x01"), "v"), "v");
  ExpectInvalid(CheckVector(field, Bits("\xff\x1f"), "v"), "v");
  ExpectInvalid(CheckVector(field, Dense(std::vector<float>(12, 1)), "v"), "v");
  ExpectInvalid(CheckVector(field, v1::Vector(), "v"), "v");
  const VectorField whole =
      Resolved(16, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_HAMMING); });
  EXPECT_TRUE(CheckVector(whole, Bits("\xff\xff"), "v").ok());
}

TEST(VectorFieldTest, SparseVectors) {
  const VectorField field = Resolved(0);
  EXPECT_TRUE(CheckVector(field, Sparse({0, 7, 4'000'000'000u}, {1, 0, -3}), "v").ok());
  ExpectInvalid(CheckVector(field, v1::Vector(), "v"), "v");
  ExpectInvalid(CheckVector(field, Dense({1, 2}), "v"), "v");
  ExpectInvalid(CheckVector(field, Sparse({1, 2}, {1}), "v"), "v");
  ExpectInvalid(CheckVector(field, Sparse({2, 1}, {1, 1}), "v"), "v");
  ExpectInvalid(CheckVector(field, Sparse({1, 1}, {1, 1}), "v"), "v");
  ExpectInvalid(CheckVector(field, Sparse({1, 2}, {1, kNan}), "v"), "v");
  ExpectInvalid(CheckVector(field, Sparse({1}, {3e19f}), "v"), "v");
  ExpectInvalid(CheckVector(field, Bits("a"), "v"), "v");
  std::vector<uint32_t> indices;
  for (uint32_t i = 0; i <= 65'536; ++i) indices.push_back(i);
  ExpectInvalid(CheckVector(field, Sparse(indices, std::vector<float>(indices.size(), 1)), "v"),
                "v", "LIMIT_EXCEEDED");
  indices.pop_back();
  EXPECT_TRUE(CheckVector(field, Sparse(indices, std::vector<float>(indices.size(), 1)), "v").ok());
}

TEST(VectorFieldTest, VectorsOfAnotherShapeAreNone) {
  const VectorField one = Resolved(2);
  EXPECT_EQ(VectorsIn(one, Dense({1, 2})), 1u);
  EXPECT_EQ(VectorsIn(one, Dense({1, 2, 3, 4})), 0u);
  EXPECT_EQ(VectorsIn(one, Dense({1})), 0u);
  EXPECT_EQ(VectorsIn(one, v1::Vector()), 0u);
  EXPECT_EQ(VectorsIn(one, Sparse({1, 2}, {1, 2})), 0u);
  const VectorField multi = Resolved(2, [](VectorField& f) { f.set_multi(true); });
  EXPECT_EQ(VectorsIn(multi, Dense({1, 2, 3, 4})), 2u);
  EXPECT_EQ(VectorsIn(multi, Dense({1, 2, 3})), 0u);
  const VectorField bits =
      Resolved(12, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_HAMMING); });
  EXPECT_EQ(VectorsIn(bits, Bits("ab")), 1u);
  EXPECT_EQ(VectorsIn(bits, Bits("abcd")), 0u);
  EXPECT_EQ(VectorsIn(bits, Dense(std::vector<float>(12, 1))), 0u);
  EXPECT_EQ(VectorsIn(Resolved(0), Sparse({1}, {1})), 1u);
  EXPECT_EQ(VectorsIn(Resolved(0), Dense({1})), 0u);
}

TEST(VectorFieldTest, VectorsMoveBetweenFieldsThatAgree) {
  const VectorField one = Resolved(3);
  EXPECT_TRUE(TakesVectorsOf(
      Resolved(3, [](VectorField& f) { f.set_index(v1::VECTOR_INDEX_KIND_FLAT); }), one));
  EXPECT_FALSE(TakesVectorsOf(Resolved(4), one));
  EXPECT_FALSE(TakesVectorsOf(
      Resolved(3, [](VectorField& f) { f.set_metric(v1::VECTOR_METRIC_DOT); }), one));
  const VectorField multi = Resolved(3, [](VectorField& f) { f.set_multi(true); });
  EXPECT_TRUE(TakesVectorsOf(multi, one));
  EXPECT_FALSE(TakesVectorsOf(one, multi));
}

}  // namespace
}  // namespace cookix::engine
