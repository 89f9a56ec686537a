// Values of `bring` documents as what a query wants them to be.
#ifndef COOKIX_ENGINE_QUERY_BRING_READER_H_
#define COOKIX_ENGINE_QUERY_BRING_READER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/query/bring_parser.h"
#include "engine/query/query_source.h"

namespace cookix::engine {

// Reads a document's values. Errors name their places in the text. Borrows the source.
class BringReader {
 public:
  using Read = std::function<absl::Status(const BringValue&)>;
  // What a member is called, and what reads it.
  using Members = std::vector<std::pair<std::string_view, Read>>;

  explicit BringReader(const QuerySource& source) : source_(source) {}

  // Reads a block, or a value with its attributes as the block that it stands for, the
  // value itself being the member `main`. No name may be there twice, except those in
  // `repeated`.
  absl::Status ReadMembers(const BringValue& value, std::string_view main, const Members& members,
                           std::string_view repeated = "") const;
  // A list of values that `read` reads one by one.
  absl::Status ReadList(const BringValue& value,
                        absl::FunctionRef<absl::Status(const BringValue&)> read) const;

  absl::StatusOr<std::string> Text(const BringValue& value) const;
  absl::StatusOr<bool> Bool(const BringValue& value) const;
  // An integer is a number too.
  absl::StatusOr<double> Number(const BringValue& value) const;
  absl::StatusOr<int64_t> Integer(const BringValue& value, int64_t least, int64_t most) const;
  absl::StatusOr<int32_t> Count(const BringValue& value) const;
  absl::StatusOr<float> Float(const BringValue& value) const;
  // A literal other than null.
  absl::StatusOr<v1::Value> Scalar(const BringValue& value) const;
  absl::Status Texts(const BringValue& value,
                     google::protobuf::RepeatedPtrField<std::string>* texts) const;

  absl::Status ErrorAt(size_t byte, std::string_view message) const {
    return source_.ErrorAt(byte, message);
  }

 private:
  // That it is a literal with no attributes, of what its reader expects.
  absl::Status CheckLiteral(const BringValue& value, bool good, std::string_view what) const;

  const QuerySource& source_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_BRING_READER_H_
