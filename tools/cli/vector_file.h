// Reads files of vectors row by row: .fvecs, .bvecs and .npy.
//
//   fvecs  each row is its dimension as a little-endian int32, then as many
//          little-endian float32
//   bvecs  the same with a byte for each component
//   npy    NumPy's format, versions 1 to 3: two dimensions, C order, of f2, f4,
//          f8 (little-endian), u1 or i1
//
// Memory: one row. Errors are INVALID_ARGUMENT, and say the row (from 0) and the
// byte of the file.
#ifndef COOKIX_TOOLS_CLI_VECTOR_FILE_H_
#define COOKIX_TOOLS_CLI_VECTOR_FILE_H_

#include <cstdint>
#include <fstream>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cookix::cli {

enum class VectorFormat { kFvecs, kBvecs, kNpy };

// By a name ("fvecs") or the end of a file's name ("base.fvecs").
std::optional<VectorFormat> VectorFormatOf(std::string_view name);

// One thread.
class VectorFile {
 public:
  // Opens a regular file, whose size must be that of whole rows.
  static absl::StatusOr<std::unique_ptr<VectorFile>> Open(const std::string& path,
                                                          VectorFormat format);
  // Reads from a stream that outlives the reader and is never moved back. Its size
  // is not known.
  static absl::StatusOr<std::unique_ptr<VectorFile>> Read(std::istream& in, VectorFormat format);

  // Components of every row: 1 to 65,536. 0 when an fvecs or bvecs file is empty.
  int dimension() const { return dimension_; }
  // Rows of the file; nothing when a stream does not say.
  std::optional<int64_t> rows() const { return rows_; }
  // True when a component is an unsigned byte, so that rows can be bits.
  bool bytes() const { return element_ == Element::kU1; }
  // The next row, and how many bytes have been read.
  int64_t row() const { return row_; }
  int64_t offset() const { return offset_; }

  // Appends the next row's components, all of them finite; false at the end, with
  // nothing appended.
  absl::StatusOr<bool> Next(std::vector<float>* components);
  // Appends the next row's bytes as they are. REQUIRES: bytes().
  absl::StatusOr<bool> NextBytes(std::string* bytes);
  // Passes over rows. INVALID_ARGUMENT when the file has fewer.
  absl::Status Skip(int64_t count);

 private:
  enum class Element { kF2, kF4, kF8, kU1, kI1 };

  VectorFile(std::istream& in, std::optional<int64_t> size, VectorFormat format)
      : in_(in), size_(size), format_(format) {}
  static absl::StatusOr<std::unique_ptr<VectorFile>> Make(std::unique_ptr<VectorFile> file);

  absl::Status ReadNpyHeader();
  absl::Status ParseNpyHeader(std::string_view header);
  // Reads the int32 before a row of fvecs or bvecs; false at the end of the file.
  absl::StatusOr<bool> ReadRowHeader();
  // Reads the next row into `raw_`; false at the end.
  absl::StatusOr<bool> ReadRow();
  int64_t RowBytes() const;
  absl::Status Error(std::string_view message, std::string_view remedy) const;
  // "row 3 at byte 1548": the next row, and what has been read of the file.
  std::string Where() const;

  std::unique_ptr<std::ifstream> owned_;
  std::istream& in_;
  const std::optional<int64_t> size_;
  const VectorFormat format_;
  Element element_ = Element::kF4;
  int dimension_ = 0;
  std::optional<int64_t> rows_;
  int64_t row_ = 0;
  int64_t offset_ = 0;
  // The int32 of the row at `row_` has been read.
  bool row_header_read_ = false;
  std::string raw_;
};

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_VECTOR_FILE_H_
