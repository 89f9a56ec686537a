#include "tools/cli/vector_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/arguments.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

constexpr int64_t kMaxDimension = 65'536;
constexpr int64_t kMaxNpyHeader = 64 << 10;
constexpr int64_t kMaxRows = int64_t{1} << 40;

float HalfToFloat(uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const float sign = (half & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

template <class T>
T Load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// Reads the literal of a Python dictionary as far as NumPy writes one.
class NpyHeaderReader {
 public:
  explicit NpyHeaderReader(std::string_view text) : text_(text) {}

  bool Take(char c) {
    SkipBlanks();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool AtEnd() {
    SkipBlanks();
    return text_.empty();
  }
  std::optional<std::string_view> TakeText() {
    SkipBlanks();
    if (text_.empty() || (text_.front() != '\'' && text_.front() != '"')) return std::nullopt;
    const size_t end = text_.find(text_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view inside = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return inside;
  }
  std::string_view TakeWord() {
    SkipBlanks();
    size_t length = 0;
    while (length < text_.size() && std::isalnum(static_cast<unsigned char>(text_[length])) != 0) {
      ++length;
    }
    const std::string_view word = text_.substr(0, length);
    text_.remove_prefix(length);
    return word;
  }

 private:
  void SkipBlanks() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n' ||
                              text_.front() == '\t' || text_.front() == '\r')) {
      text_.remove_prefix(1);
    }
  }
  std::string_view text_;
};

}  // namespace

std::optional<VectorFormat> VectorFormatOf(std::string_view name) {
  static constexpr std::pair<std::string_view, VectorFormat> kFormats[] = {
      {"fvecs", VectorFormat::kFvecs},
      {"bvecs", VectorFormat::kBvecs},
      {"npy", VectorFormat::kNpy}};
  for (const auto& [word, format] : kFormats) {
    if (name == word) return format;
    if (name.size() > word.size() && name.substr(name.size() - word.size()) == word &&
        name[name.size() - word.size() - 1] == '.') {
      return format;
    }
  }
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<VectorFile>> VectorFile::Open(const std::string& path,
                                                             VectorFormat format) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return InvalidField("FILE", "cannot read " + OneLine(path), "give the path of a file");
  }
  auto in = std::make_unique<std::ifstream>(path, std::ios::binary);
  const auto size = std::filesystem::file_size(path, error);
  if (!*in || error) {
    return InvalidField("FILE", "cannot read " + OneLine(path), "check its permissions");
  }
  std::unique_ptr<VectorFile> file(new VectorFile(*in, static_cast<int64_t>(size), format));
  file->owned_ = std::move(in);
  return Make(std::move(file));
}

absl::StatusOr<std::unique_ptr<VectorFile>> VectorFile::Read(std::istream& in,
                                                             VectorFormat format) {
  return Make(std::unique_ptr<VectorFile>(new VectorFile(in, std::nullopt, format)));
}

absl::StatusOr<std::unique_ptr<VectorFile>> VectorFile::Make(std::unique_ptr<VectorFile> file) {
  if (file->format_ == VectorFormat::kNpy) {
    COOKIX_RETURN_IF_ERROR(file->ReadNpyHeader());
    const int64_t wanted = file->offset_ + *file->rows_ * file->RowBytes();
    if (file->size_ && *file->size_ != wanted) {
      return file->Error("the header tells of " + WithCommas(*file->rows_) + " rows of " +
                             std::to_string(file->dimension_) + " components, " +
                             WithCommas(wanted) + " bytes in all, and the file has " +
                             WithCommas(*file->size_),
                         "the file is cut short or has more than one array: write it again");
    }
    return file;
  }
  if (file->format_ == VectorFormat::kBvecs) file->element_ = Element::kU1;
  COOKIX_ASSIGN_OR_RETURN(bool any, file->ReadRowHeader());
  if (!any) {
    file->rows_ = 0;
    return file;
  }
  if (file->size_) {
    const int64_t whole = 4 + file->RowBytes();
    if (*file->size_ % whole != 0) {
      return file->Error("the file has " + WithCommas(*file->size_) + " bytes, and a row of " +
                             std::to_string(file->dimension_) + " components has " +
                             WithCommas(whole),
                         "the file is cut short, or its rows have different dimensions");
    }
    file->rows_ = *file->size_ / whole;
  }
  return file;
}

int64_t VectorFile::RowBytes() const {
  switch (element_) {
    case Element::kF2:
      return int64_t{2} * dimension_;
    case Element::kF4:
      return int64_t{4} * dimension_;
    case Element::kF8:
      return int64_t{8} * dimension_;
    case Element::kU1:
    case Element::kI1:
      break;
  }
  return dimension_;
}

std::string VectorFile::Where() const {
  return "row " + std::to_string(row_) + " at byte " + std::to_string(offset_);
}

absl::Status VectorFile::Error(std::string_view message, std::string_view remedy) const {
  return InvalidField("FILE", message, remedy);
}

absl::Status VectorFile::ReadNpyHeader() {
  const std::string not_npy = "write it with numpy.save(\"FILE.npy\", array)";
  char start[12];
  in_.read(start, 8);
  if (in_.gcount() != 8 || std::memcmp(start, "\x93NUMPY", 6) != 0) {
    return Error("not an npy file: its first bytes are not those of one", not_npy);
  }
  const int version = static_cast<unsigned char>(start[6]);
  if (version < 1 || version > 3) {
    return Error("version " + std::to_string(version) + " of the npy format at byte 6",
                 "versions 1 to 3 are read");
  }
  const std::streamsize width = version == 1 ? 2 : 4;
  in_.read(start + 8, width);
  if (in_.gcount() != width) return Error("the file ends in its header at byte 8", not_npy);
  const int64_t length =
      version == 1 ? int64_t{Load<uint16_t>(start + 8)} : int64_t{Load<uint32_t>(start + 8)};
  if (length > kMaxNpyHeader) {
    return Error("a header of " + WithCommas(length) + " bytes at byte 8",
                 "an array of two dimensions has one of at most " + WithCommas(kMaxNpyHeader));
  }
  std::string header(static_cast<size_t>(length), '\0');
  in_.read(header.data(), static_cast<std::streamsize>(length));
  if (in_.gcount() != static_cast<std::streamsize>(length)) {
    return Error("the file ends in its header at byte " + std::to_string(8 + width + in_.gcount()),
                 not_npy);
  }
  offset_ = 8 + width + length;
  return ParseNpyHeader(header);
}

absl::Status VectorFile::ParseNpyHeader(std::string_view header) {
  const absl::Status malformed =
      Error("the header of the npy file is not one that NumPy writes", "write the file again");
  NpyHeaderReader reader(header);
  std::optional<std::string> type;
  std::optional<bool> fortran;
  std::optional<std::vector<int64_t>> shape;
  if (!reader.Take('{')) return malformed;
  while (!reader.Take('}')) {
    const auto name = reader.TakeText();
    if (!name || !reader.Take(':')) return malformed;
    if (*name == "descr") {
      const auto text = reader.TakeText();
      if (!text) {
        return Error("the array has named fields", "save one array of numbers");
      }
      type = std::string(*text);
    } else if (*name == "fortran_order") {
      const std::string_view word = reader.TakeWord();
      if (word != "True" && word != "False") return malformed;
      fortran = word == "True";
    } else if (*name == "shape") {
      if (!reader.Take('(')) return malformed;
      shape.emplace();
      while (!reader.Take(')')) {
        const auto number = ParseInt(reader.TakeWord());
        if (!number || *number < 0 || shape->size() >= 32) return malformed;
        shape->push_back(*number);
        if (!reader.Take(',')) {
          if (!reader.Take(')')) return malformed;
          break;
        }
      }
    } else {
      return malformed;
    }
    if (!reader.Take(',')) {
      if (!reader.Take('}')) return malformed;
      break;
    }
  }
  if (!reader.AtEnd() || !type || !fortran || !shape) return malformed;

  static constexpr std::pair<std::string_view, Element> kTypes[] = {
      {"<f2", Element::kF2}, {"<f4", Element::kF4}, {"<f8", Element::kF8}, {"|u1", Element::kU1},
      {"|i1", Element::kI1}, {"<u1", Element::kU1}, {"<i1", Element::kI1}};
  const auto known = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&type](const auto& item) { return item.first == *type; });
  if (known == std::end(kTypes)) {
    return Error("the array's components are " + OneLine(*type),
                 "f2, f4, f8 (little-endian), u1 and i1 are read: array.astype(\"<f4\")");
  }
  element_ = known->second;
  if (shape->size() != 2) {
    return Error("the array has " + std::to_string(shape->size()) +
                     (shape->size() == 1 ? " dimension" : " dimensions") + ", not two",
                 "save one row for each vector: array.reshape(rows, components)");
  }
  if (*fortran) {
    return Error("the array is in Fortran order, column by column",
                 "save numpy.ascontiguousarray(array)");
  }
  if ((*shape)[1] < 1 || (*shape)[1] > kMaxDimension) {
    return Error("the array has rows of " + WithCommas((*shape)[1]) + " components",
                 "vectors have 1 to 65,536");
  }
  if ((*shape)[0] > kMaxRows) {
    return Error("the array has " + WithCommas((*shape)[0]) + " rows", "split it");
  }
  rows_ = (*shape)[0];
  dimension_ = static_cast<int>((*shape)[1]);
  return absl::OkStatus();
}

absl::StatusOr<bool> VectorFile::ReadRowHeader() {
  if (row_header_read_) return true;
  char bytes[4];
  in_.read(bytes, 4);
  if (in_.gcount() == 0 && !in_.bad()) return false;
  if (in_.gcount() != 4) {
    return Error(Where() + " is cut short: its dimension has " + std::to_string(in_.gcount()) +
                     " of 4 bytes",
                 "write the file again");
  }
  const auto dimension = Load<int32_t>(bytes);
  if (dimension < 1 || dimension > kMaxDimension) {
    return Error(Where() + " says that it has " + std::to_string(dimension) + " components",
                 "vectors have 1 to 65,536; check that the file has this format");
  }
  if (dimension_ != 0 && dimension != dimension_) {
    return Error(Where() + " has " + std::to_string(dimension) + " components, those before it " +
                     std::to_string(dimension_),
                 "all vectors of a file have one dimension");
  }
  dimension_ = dimension;
  offset_ += 4;
  row_header_read_ = true;
  return true;
}

absl::StatusOr<bool> VectorFile::ReadRow() {
  if (format_ == VectorFormat::kNpy) {
    if (row_ == *rows_) return false;
  } else {
    COOKIX_ASSIGN_OR_RETURN(bool more, ReadRowHeader());
    if (!more) return false;
  }
  const int64_t wanted = RowBytes();
  raw_.resize(static_cast<size_t>(wanted));
  in_.read(raw_.data(), static_cast<std::streamsize>(wanted));
  if (in_.gcount() != static_cast<std::streamsize>(wanted)) {
    return Error(Where() + " is cut short: it has " + std::to_string(in_.gcount()) + " of " +
                     std::to_string(wanted) + " bytes",
                 "write the file again");
  }
  return true;
}

absl::StatusOr<bool> VectorFile::Next(std::vector<float>* components) {
  COOKIX_ASSIGN_OR_RETURN(bool more, ReadRow());
  if (!more) return false;
  const size_t start = components->size();
  const auto count = static_cast<size_t>(dimension_);
  components->resize(start + count);
  float* out = components->data() + start;
  const char* raw = raw_.data();
  switch (element_) {
    case Element::kF2:
      for (size_t i = 0; i < count; ++i) out[i] = HalfToFloat(Load<uint16_t>(raw + i * 2));
      break;
    case Element::kF4:
      std::memcpy(out, raw, count * 4);
      break;
    case Element::kF8:
      for (size_t i = 0; i < count; ++i) {
        const double value = Load<double>(raw + i * 8);
        // Converting a double beyond a float's range is undefined.
        out[i] = std::abs(value) <= std::numeric_limits<float>::max()
                     ? static_cast<float>(value)
                     : std::numeric_limits<float>::infinity();
      }
      break;
    case Element::kU1:
      for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(raw[i]);
      break;
    case Element::kI1:
      for (size_t i = 0; i < count; ++i) out[i] = static_cast<int8_t>(raw[i]);
      break;
  }
  for (size_t i = 0; i < count; ++i) {
    if (std::isfinite(out[i])) continue;
    components->resize(start);
    return Error(Where() + ": component " + std::to_string(i) + " is not a finite float32",
                 "remove the row or put a number there");
  }
  offset_ += static_cast<int64_t>(raw_.size());
  ++row_;
  row_header_read_ = false;
  return true;
}

absl::StatusOr<bool> VectorFile::NextBytes(std::string* bytes) {
  COOKIX_ASSIGN_OR_RETURN(bool more, ReadRow());
  if (!more) return false;
  bytes->append(raw_);
  offset_ += static_cast<int64_t>(raw_.size());
  ++row_;
  row_header_read_ = false;
  return true;
}

absl::Status VectorFile::Skip(int64_t count) {
  if (count <= 0) return absl::OkStatus();
  if (rows_ && count > *rows_ - row_) {
    return Error("row " + std::to_string(row_ + count) + " is wanted, and the file has " +
                     WithCommas(*rows_) + " rows",
                 "rows are counted from 0");
  }
  if (size_) {
    const int64_t header = format_ == VectorFormat::kNpy ? 0 : 4;
    const int64_t target = offset_ - (row_header_read_ ? 4 : 0) + count * (header + RowBytes());
    in_.clear();
    in_.seekg(static_cast<std::streamoff>(target));
    if (!in_) return Error("the file could not be read at byte " + std::to_string(target), "retry");
    offset_ = target;
    row_ += count;
    row_header_read_ = false;
    return absl::OkStatus();
  }
  for (int64_t i = 0; i < count; ++i) {
    COOKIX_ASSIGN_OR_RETURN(bool more, ReadRow());
    if (!more) {
      return Error("the file ends before row " + std::to_string(row_ + count - i),
                   "rows are counted from 0");
    }
    offset_ += static_cast<int64_t>(raw_.size());
    ++row_;
    row_header_read_ = false;
  }
  return absl::OkStatus();
}

}  // namespace cookix::cli
