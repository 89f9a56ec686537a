// Values and conditions for tests.
#ifndef COOKIX_ENGINE_FILTER_TEST_VALUES_H_
#define COOKIX_ENGINE_FILTER_TEST_VALUES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cookix/v1/common.pb.h"

namespace cookix::engine {

inline v1::Value Int(int64_t value) {
  v1::Value out;
  out.set_int_value(value);
  return out;
}
inline v1::Value Double(double value) {
  v1::Value out;
  out.set_double_value(value);
  return out;
}
inline v1::Value Text(const std::string& value) {
  v1::Value out;
  out.set_string_value(value);
  return out;
}
inline v1::Value Bytes(const std::string& value) {
  v1::Value out;
  out.set_bytes_value(value);
  return out;
}
inline v1::Value Bool(bool value) {
  v1::Value out;
  out.set_bool_value(value);
  return out;
}
inline v1::Value Null() {
  v1::Value out;
  out.set_null_value(v1::NULL_VALUE_UNSPECIFIED);
  return out;
}
inline v1::Value List(const std::vector<v1::Value>& values) {
  v1::Value out;
  out.mutable_list_value();
  for (const v1::Value& value : values) *out.mutable_list_value()->add_values() = value;
  return out;
}
inline v1::Value Map(const std::vector<std::pair<std::string, v1::Value>>& entries) {
  v1::Value out;
  out.mutable_map_value();
  for (const auto& [name, value] : entries) {
    (*out.mutable_map_value()->mutable_fields())[name] = value;
  }
  return out;
}

inline v1::Filter Compare(const std::string& field, v1::ComparisonOperator op,
                          const v1::Value& value) {
  v1::Filter filter;
  filter.mutable_comparison()->set_field(field);
  filter.mutable_comparison()->set_op(op);
  *filter.mutable_comparison()->mutable_value() = value;
  return filter;
}
inline v1::Filter Exists(const std::string& field) {
  v1::Filter filter;
  filter.mutable_existence()->set_field(field);
  return filter;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_FILTER_TEST_VALUES_H_
