// The vectors of the crash test: fields of each kind of index, and what is near in them.
#ifndef COOKIX_TESTS_CRASH_VECTOR_FIELDS_H_
#define COOKIX_TESTS_CRASH_VECTOR_FIELDS_H_

#include <array>
#include <random>
#include <string>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"

namespace cookix::tests {

// HNSW by l2, CELLS by cosine, SPARSE.
inline constexpr std::array<const char*, 3> kVectorFields = {"graph", "cells", "sparse"};

// Adds the fields to the default collection.
v1::UpdateCollectionRequest AddVectorFields();

// Around one of a few centres, never twice the same.
v1::Vector RandomVector(const std::string& field, std::mt19937_64& random);

// As the server documents it for the field's metric. False when `a` is not found by `b`: sparse
// vectors that share no index.
bool Distance(const std::string& field, const v1::Vector& a, const v1::Vector& b, double* distance);

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_VECTOR_FIELDS_H_
