// The texts of an object, field by field, as indexes and searches take them.
#ifndef COOKIX_ENGINE_TEXT_OBJECT_TEXTS_H_
#define COOKIX_ENGINE_TEXT_OBJECT_TEXTS_H_

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/catalog_service.pb.h"
#include "engine/text/text_document.h"
#include "engine/text/text_field.h"

namespace cookix::engine {

// Owns the record that its texts are in. Reuse it for the next object, but do not move it.
class ObjectTexts {
 public:
  ObjectTexts() = default;
  ObjectTexts(const ObjectTexts&) = delete;
  ObjectTexts& operator=(const ObjectTexts&) = delete;

  // Takes the texts of a serialized ObjectRecord; of nothing, or of a dangling target,
  // there are none. Fields that `wanted` leaves out have none either (null = all). False:
  // the record is malformed.
  bool Read(std::string_view record, std::span<const v1::TextField> fields,
            const std::vector<bool>* wanted = nullptr) {
    texts_.clear();
    fields_.clear();
    if (record.empty()) return true;
    if (!record_.ParseFromArray(record.data(), static_cast<int>(record.size()))) return false;
    if (!record_.exists()) return true;
    ends_.clear();
    for (size_t i = 0; i < fields.size(); ++i) {
      if (wanted == nullptr || (*wanted)[i]) {
        ForEachText(record_, fields[i], [&](std::string_view text) { texts_.push_back(text); });
      }
      ends_.push_back(texts_.size());
    }
    if (texts_.empty()) return true;
    size_t begin = 0;
    for (const size_t end : ends_) {
      fields_.emplace_back(texts_.data() + begin, end - begin);
      begin = end;
    }
    return true;
  }

  // By field; empty when the object has no text at all.
  std::span<const TextElements> fields() const { return fields_; }
  bool empty() const { return fields_.empty(); }

  size_t bytes() const {
    size_t bytes = 0;
    for (const std::string_view text : texts_) bytes += text.size();
    return bytes;
  }

  bool operator==(const ObjectTexts& other) const {
    return std::equal(fields_.begin(), fields_.end(), other.fields_.begin(), other.fields_.end(),
                      [](TextElements a, TextElements b) {
                        return std::equal(a.begin(), a.end(), b.begin(), b.end());
                      });
  }

 private:
  internal::v1::ObjectRecord record_;
  std::vector<std::string_view> texts_;
  std::vector<size_t> ends_;
  std::vector<TextElements> fields_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_OBJECT_TEXTS_H_
