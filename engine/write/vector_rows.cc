#include "engine/write/vector_rows.h"

#include <bit>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "engine/vector/vector_field.h"
#include "engine/write/validate.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

static_assert(std::endian::native == std::endian::little);

// Tags of fields of cookix.v1.Vector: number and "length-prefixed".
constexpr char kValuesTag = (1 << 3) | 2;
constexpr char kBitsTag = (3 << 3) | 2;

absl::Status WrongSize(std::string_view field, size_t size, std::string_view what, size_t rows,
                       size_t each) {
  return InvalidField(field,
                      absl::StrCat(size, " ", ToAbsl(what), ", expected ", rows * each, " (", rows,
                                   " keys * ", each, ")"),
                      "Send one vector of the field's dimension for each key");
}

absl::Status CheckVectors(const v1::InsertVectorsRequest& request, const v1::VectorField& field) {
  const auto rows = static_cast<size_t>(request.keys_size());
  const auto refuse = [](std::string_view member, bool given) {
    if (!given) return absl::OkStatus();
    return InvalidField(member, absl::StrCat("the field does not take ", ToAbsl(member)),
                        "Send values, or bits for a field of bits, or sparse for a sparse field");
  };
  if (IsSparse(field)) {
    COOKIX_RETURN_IF_ERROR(refuse("values", request.values_size() > 0));
    COOKIX_RETURN_IF_ERROR(refuse("bits", !request.bits().empty()));
    if (static_cast<size_t>(request.sparse_size()) != rows) {
      return WrongSize("sparse", static_cast<size_t>(request.sparse_size()), "vectors", rows, 1);
    }
    for (int i = 0; i < request.sparse_size(); ++i) {
      if (const absl::Status status = CheckVector(field, request.sparse(i), "sparse");
          !status.ok()) {
        return WithField(status, absl::StrCat("sparse[", i, "]"));
      }
    }
    return absl::OkStatus();
  }
  COOKIX_RETURN_IF_ERROR(refuse("sparse", request.sparse_size() > 0));
  if (IsBits(field)) {
    COOKIX_RETURN_IF_ERROR(refuse("values", request.values_size() > 0));
    const size_t each = BitBytes(field);
    if (request.bits().size() != rows * each) {
      return WrongSize("bits", request.bits().size(), "bytes", rows, each);
    }
    for (size_t i = 0; i < rows; ++i) {
      const std::string_view row = std::string_view(request.bits()).substr(i * each, each);
      if (const absl::Status status = CheckBits(field, row, "bits"); !status.ok()) {
        return WithField(status, absl::StrCat("bits[", i * each, "]"));
      }
    }
    return absl::OkStatus();
  }
  COOKIX_RETURN_IF_ERROR(refuse("bits", !request.bits().empty()));
  const auto each = static_cast<size_t>(field.dimension());
  const auto size = static_cast<size_t>(request.values_size());
  if (size != rows * each) return WrongSize("values", size, "components", rows, each);
  for (size_t i = 0; i < rows; ++i) {
    const std::span<const float> row(request.values().data() + i * each, each);
    if (const absl::Status status = CheckComponents(field, row, "values"); !status.ok()) {
      return WithField(status, absl::StrCat("values[", i * each, "]"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VectorRows> VectorRows::Check(const NamespaceInfo& ns,
                                             const v1::InsertVectorsRequest& request,
                                             const Limits& limits) {
  const int rows = request.keys_size();
  if (rows == 0) return InvalidField("keys", "the list is empty", "Send at least one key");
  if (rows > limits.max_batch_objects) {
    return LimitExceeded("keys", absl::StrCat(rows, " keys, more than ", limits.max_batch_objects),
                         "Split the request");
  }
  if (request.properties_size() != 0 && request.properties_size() != rows) {
    return InvalidField("properties",
                        absl::StrCat(request.properties_size(), " entries for ", rows, " keys"),
                        "Send none, or one for each key");
  }
  const CollectionInfo* collection = ns.FindCollection(request.collection());
  if (collection == nullptr) {
    return NotFound("COLLECTION_NOT_FOUND", "collection",
                    absl::StrCat("collection \"", request.collection(), "\" does not exist"),
                    "Create the collection first");
  }
  COOKIX_ASSIGN_OR_RETURN(
      const v1::VectorField* field,
      RequireVectorField(collection->record.collection(), request.field(), "field"));
  for (int i = 0; i < rows; ++i) {
    if (const absl::Status status = CheckKey(request.keys(i), "keys", limits); !status.ok()) {
      return WithField(status, absl::StrCat("keys[", i, "]"));
    }
  }
  for (int i = 0; i < request.properties_size(); ++i) {
    const auto& properties = request.properties(i).fields();
    if (properties.empty()) continue;
    if (!CheckProperties(properties, "", limits).ok()) {
      return CheckProperties(properties, absl::StrCat("properties[", i, "].fields"), limits);
    }
  }
  COOKIX_RETURN_IF_ERROR(CheckVectors(request, *field));
  return VectorRows{&request, collection->id, *field};
}

bool VectorRows::Fit(const NamespaceInfo& ns) const {
  const CollectionInfo* now = ns.FindCollection(collection);
  if (now == nullptr || ns.FindCollection(request->collection()) != now) return false;
  const v1::VectorField* same = FindVectorField(now->record.collection(), request->field());
  return same != nullptr && same->name() == field.name() && same->multi() == field.multi() &&
         TakesVectorsOf(*same, field);
}

void VectorRows::Encode(int row, std::string* bytes) const {
  bytes->clear();
  if (IsSparse(field)) {
    request->sparse(row).AppendToString(bytes);
    return;
  }
  const bool bits = IsBits(field);
  const size_t each =
      bits ? BitBytes(field) : static_cast<size_t>(field.dimension()) * sizeof(float);
  const char* begin =
      bits ? request->bits().data() : reinterpret_cast<const char*>(request->values().data());
  bytes->reserve(each + 6);
  bytes->push_back(bits ? kBitsTag : kValuesTag);
  PutVarint64(bytes, each);
  bytes->append(begin + static_cast<size_t>(row) * each, each);
}

}  // namespace cookix::engine
