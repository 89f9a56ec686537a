// What words became terms lately: most words of a text were seen a moment ago.
#ifndef COOKIX_ENGINE_TEXT_TERM_CACHE_H_
#define COOKIX_ENGINE_TEXT_TERM_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

namespace cookix::engine {

// Maps folded words to terms, a cache line each; a new word takes the place of an older
// one. Fixed memory. For one thread at a time.
class TermCache {
 public:
  // Longer words and terms are not kept.
  static constexpr size_t kMaxWordBytes = 30;
  static constexpr size_t kMaxTermBytes = 32;

  // Where a word is or would be.
  struct Place {
    size_t index;
  };

  // REQUIRES: the word has 1 to kMaxWordBytes bytes.
  static Place PlaceOf(std::string_view word) { return {Hash(word) >> (64 - kBits)}; }

  // The term of the word, valid until the next Put, if it is kept.
  std::optional<std::string_view> Find(Place place, std::string_view word) const {
    const Entry& entry = (*entries_)[place.index];
    if (entry.word_size != word.size() || std::memcmp(entry.word, word.data(), word.size()) != 0) {
      return std::nullopt;
    }
    return std::string_view(entry.term, entry.term_size);
  }

  void Put(Place place, std::string_view word, std::string_view term) {
    if (term.size() > kMaxTermBytes) return;
    Entry& entry = (*entries_)[place.index];
    entry.word_size = static_cast<uint8_t>(word.size());
    entry.term_size = static_cast<uint8_t>(term.size());
    std::memcpy(entry.word, word.data(), word.size());
    if (!term.empty()) std::memcpy(entry.term, term.data(), term.size());
  }

 private:
  // 512 KiB. On English abstracts, half of that makes analysis 1.4 times as slow, and
  // twice as much 1.2 times as fast.
  static constexpr int kBits = 13;

  struct alignas(64) Entry {
    uint8_t word_size = 0;  // 0: empty
    uint8_t term_size = 0;
    char word[kMaxWordBytes];
    char term[kMaxTermBytes];
  };

  // Eight bytes at a time; the last ones overlap, so that nothing beyond the word is
  // read.
  static uint64_t Hash(std::string_view word) {
    constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;
    const auto mix = [](uint64_t hash, uint64_t bytes) {
      hash = (hash ^ bytes) * kMultiplier;
      return hash ^ hash >> 32;
    };
    const auto load = [&](size_t at, size_t size) {
      uint64_t bytes = 0;
      std::memcpy(&bytes, word.data() + at, size);
      return bytes;
    };
    uint64_t hash = word.size();
    if (word.size() >= 8) {
      for (size_t at = 0; at + 8 <= word.size(); at += 8) hash = mix(hash, load(at, 8));
      hash = mix(hash, load(word.size() - 8, 8));
    } else if (word.size() >= 4) {
      hash = mix(hash, load(0, 4) | load(word.size() - 4, 4) << 32);
    } else {
      const auto byte = [&](size_t at) -> uint64_t { return static_cast<uint8_t>(word[at]); };
      hash = mix(hash, byte(0) | byte(word.size() / 2) << 8 | byte(word.size() - 1) << 16);
    }
    return hash * kMultiplier;
  }

  std::unique_ptr<std::array<Entry, size_t{1} << kBits>> entries_ =
      std::make_unique<std::array<Entry, size_t{1} << kBits>>();
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TERM_CACHE_H_
