// Arrays in the files of text indexes, and what is wrong with one.
#ifndef COOKIX_ENGINE_TEXT_SAVED_ARRAY_H_
#define COOKIX_ENGINE_TEXT_SAVED_ARRAY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "storage/base/status.h"
#include "storage/checked_file.h"

namespace cookix::engine {

inline absl::Status MalformedTextIndex(std::string_view what) {
  return Corruption("a saved text index makes no sense: " + std::string(what),
                    "It is built again from the store.");
}

// Of a vector or string: the number of elements, and these as they are in memory.
template <typename Container>
absl::Status SaveArray(const Container& elements, storage::CheckedFileWriter& writer) {
  using Element = typename Container::value_type;
  static_assert(std::is_trivially_copyable_v<Element>);
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint64_t>(elements.size())));
  return writer.Append(
      {reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(Element)});
}

// Nothing is said of what the elements are.
template <typename Container>
absl::Status LoadArray(Container* elements, storage::CheckedFileReader& reader) {
  using Element = typename Container::value_type;
  uint64_t count = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
  if (count > reader.MaxLeft() / sizeof(Element)) {
    return MalformedTextIndex("it has more than its bytes");
  }
  elements->resize(count);
  return reader.Read(elements->data(), count * sizeof(Element));
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_SAVED_ARRAY_H_
