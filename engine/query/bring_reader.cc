#include "engine/query/bring_reader.h"

#include <limits>
#include <set>

#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = BringValue::Kind;

std::string NamesOf(const BringReader::Members& members) {
  std::string names;
  for (const auto& [name, read] : members) {
    if (!names.empty()) names += ", ";
    names += name;
  }
  return names;
}

}  // namespace

absl::Status BringReader::ReadMembers(const BringValue& value, std::string_view main,
                                      const Members& members, std::string_view repeated) const {
  std::set<std::string_view> seen;
  const auto read = [&](std::string_view name, size_t at, const BringValue& part) -> absl::Status {
    for (const auto& [known, reader] : members) {
      if (known != name) continue;
      if (name != repeated && !seen.insert(known).second) {
        return ErrorAt(at, "there is a second " + std::string(name));
      }
      return reader(part);
    }
    return ErrorAt(at, "expected one of " + NamesOf(members) + ", found " + std::string(name));
  };
  if (value.kind != Kind::kBlock) {
    if (main.empty()) return ErrorAt(value.at, "expected a block in { }");
    BringValue bare = value;
    bare.attributes.clear();
    COOKIX_RETURN_IF_ERROR(read(main, value.at, bare));
  }
  for (const BringMember& member : value.members) {
    COOKIX_RETURN_IF_ERROR(read(member.name, member.at, member.value));
  }
  for (const BringMember& attribute : value.attributes) {
    COOKIX_RETURN_IF_ERROR(read(attribute.name, attribute.at, attribute.value));
  }
  return absl::OkStatus();
}

absl::Status BringReader::ReadList(const BringValue& value,
                                   absl::FunctionRef<absl::Status(const BringValue&)> read) const {
  if (value.kind != Kind::kList) return ErrorAt(value.at, "expected a list in [ ]");
  if (!value.attributes.empty()) {
    return ErrorAt(value.attributes[0].at, "a list has no attributes here");
  }
  for (const BringValue& item : value.items) COOKIX_RETURN_IF_ERROR(read(item));
  return absl::OkStatus();
}

absl::Status BringReader::CheckLiteral(const BringValue& value, bool good,
                                       std::string_view what) const {
  if (value.kind != Kind::kLiteral || !good) {
    return ErrorAt(value.at, "expected " + std::string(what));
  }
  if (!value.attributes.empty()) {
    return ErrorAt(value.attributes[0].at, "the value has no attributes here");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> BringReader::Text(const BringValue& value) const {
  COOKIX_RETURN_IF_ERROR(
      CheckLiteral(value, value.literal.has_string_value(), "text in double quotes"));
  return value.literal.string_value();
}

absl::StatusOr<bool> BringReader::Bool(const BringValue& value) const {
  COOKIX_RETURN_IF_ERROR(CheckLiteral(value, value.literal.has_bool_value(), "true or false"));
  return value.literal.bool_value();
}

absl::StatusOr<double> BringReader::Number(const BringValue& value) const {
  const bool integer = value.literal.has_int_value();
  COOKIX_RETURN_IF_ERROR(
      CheckLiteral(value, integer || value.literal.has_double_value(), "a number"));
  return integer ? static_cast<double>(value.literal.int_value()) : value.literal.double_value();
}

absl::StatusOr<int64_t> BringReader::Integer(const BringValue& value, int64_t least,
                                             int64_t most) const {
  const int64_t number = value.literal.int_value();
  COOKIX_RETURN_IF_ERROR(
      CheckLiteral(value, value.literal.has_int_value() && number >= least && number <= most,
                   "a whole number, " + std::to_string(least) + " to " + std::to_string(most)));
  return number;
}

absl::StatusOr<int32_t> BringReader::Count(const BringValue& value) const {
  COOKIX_ASSIGN_OR_RETURN(const int64_t count,
                          Integer(value, 0, std::numeric_limits<int32_t>::max()));
  return static_cast<int32_t>(count);
}

absl::StatusOr<float> BringReader::Float(const BringValue& value) const {
  COOKIX_RETURN_IF_ERROR(Number(value).status());
  return source_.Again(value.at).TakeFloat();
}

absl::StatusOr<v1::Value> BringReader::Scalar(const BringValue& value) const {
  COOKIX_RETURN_IF_ERROR(CheckLiteral(value, !value.literal.has_null_value(),
                                      "text in double quotes, a number, true or false"));
  return value.literal;
}

absl::Status BringReader::Texts(const BringValue& value,
                                google::protobuf::RepeatedPtrField<std::string>* texts) const {
  return ReadList(value, [&](const BringValue& item) -> absl::Status {
    COOKIX_ASSIGN_OR_RETURN(*texts->Add(), Text(item));
    return absl::OkStatus();
  });
}

}  // namespace cookix::engine
