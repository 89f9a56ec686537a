#include "engine/view/ordinal_bitmap.h"

#include <algorithm>
#include <bit>
#include <string>

#include "storage/base/coding.h"

namespace cookix::engine {
namespace {

// Of Roaring's portable format: no run containers follow.
constexpr uint32_t kCookieWithoutRuns = 12346;
// Containers with more than this many ordinals are plain bits.
constexpr int kMaxArray = 4096;
// What a container costs beside its contents: its header and two allocations'
// overhead, and its place in the bitmap's three arrays.
constexpr int64_t kContainerOverhead = 16 + 2 * 16 + 8 + 2 + 1;

void PutFixed16(std::string* out, uint16_t value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

Roaring& OrdinalBitmap::Part(uint32_t high) {
  auto it = std::lower_bound(parts_.begin(), parts_.end(), high,
                             [](const auto& part, uint32_t h) { return part.first < h; });
  if (it == parts_.end() || it->first != high) it = parts_.emplace(it, high, Roaring());
  return it->second;
}

void OrdinalBitmap::Add(Ordinal ordinal) {
  Part(static_cast<uint32_t>(ordinal >> 32)).add(static_cast<uint32_t>(ordinal));
}

void OrdinalBitmap::Remove(Ordinal ordinal) {
  for (auto it = parts_.begin(); it != parts_.end(); ++it) {
    if (it->first != ordinal >> 32) continue;
    it->second.remove(static_cast<uint32_t>(ordinal));
    if (it->second.isEmpty()) parts_.erase(it);
    return;
  }
}

uint64_t OrdinalBitmap::Count() const {
  uint64_t count = 0;
  for (const auto& [high, part] : parts_) count += part.cardinality();
  return count;
}

OrdinalBitmap& OrdinalBitmap::operator|=(const OrdinalBitmap& other) {
  if (parts_.empty()) return *this = other;
  for (const auto& [high, part] : other.parts_) Part(high) |= part;
  return *this;
}

OrdinalBitmap& OrdinalBitmap::operator&=(const OrdinalBitmap& other) {
  auto from = other.parts_.begin();
  auto kept = parts_.begin();
  for (auto& mine : parts_) {
    while (from != other.parts_.end() && from->first < mine.first) ++from;
    if (from == other.parts_.end()) break;
    if (from->first != mine.first) continue;
    mine.second &= from->second;
    if (mine.second.isEmpty()) continue;
    if (&*kept != &mine) *kept = std::move(mine);
    ++kept;
  }
  parts_.erase(kept, parts_.end());
  return *this;
}

OrdinalBitmap& OrdinalBitmap::operator-=(const OrdinalBitmap& other) {
  for (auto& mine : parts_) {
    for (const auto& [high, part] : other.parts_) {
      if (high == mine.first) mine.second -= part;
    }
  }
  std::erase_if(parts_, [](const auto& part) { return part.second.isEmpty(); });
  return *this;
}

bool OrdinalBitmap::operator==(const OrdinalBitmap& other) const {
  if (parts_.size() != other.parts_.size()) return false;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].first != other.parts_[i].first || !(parts_[i].second == other.parts_[i].second)) {
      return false;
    }
  }
  return true;
}

int64_t OrdinalBitmap::MemoryBytes() const {
  int64_t bytes = static_cast<int64_t>(parts_.capacity() * sizeof(parts_[0]));
  for (const auto& [high, part] : parts_) {
    // Roaring's own statistics look at every ordinal.
    const roaring_array_t& containers = part.roaring.high_low_container;
    for (int32_t i = 0; i < containers.size; ++i) {
      uint8_t type = containers.typecodes[i];
      const void* container = container_unwrap_shared(containers.containers[i], &type);
      bytes += kContainerOverhead;
      if (type == BITSET_CONTAINER_TYPE_CODE) {
        bytes += 8192;
      } else if (type == ARRAY_CONTAINER_TYPE_CODE) {
        bytes += 2 * static_cast<const array_container_t*>(container)->capacity;
      } else {
        bytes += 4 * static_cast<const run_container_t*>(container)->capacity;
      }
    }
  }
  return bytes;
}

std::vector<const uint64_t*> OrdinalBitmap::PlainWords() const {
  std::vector<const uint64_t*> words;
  if (parts_.empty() || parts_.front().first != 0) return words;
  const roaring_array_t& containers = parts_.front().second.roaring.high_low_container;
  if (containers.size > 0) words.resize(containers.keys[containers.size - 1] + size_t{1});
  for (int32_t i = 0; i < containers.size; ++i) {
    if (containers.typecodes[i] != BITSET_CONTAINER_TYPE_CODE) continue;
    words[containers.keys[i]] =
        static_cast<const bitset_container_t*>(containers.containers[i])->array;
  }
  return words;
}

void OrdinalCollector::MakeChunk(size_t index) {
  if (index >= chunks_.size()) chunks_.resize(index + 1);
  chunks_[index] = std::make_unique<Chunk>();
}

void OrdinalCollector::Add(const OrdinalBitmap& bitmap) {
  for (const auto& [high, part] : bitmap.parts_) {
    if (high != 0) {
      rest_.Part(high) |= part;
      continue;
    }
    const roaring_array_t& containers = part.roaring.high_low_container;
    for (int32_t i = 0; i < containers.size; ++i) {
      const size_t index = containers.keys[i];
      if (index >= chunks_.size() || chunks_[index] == nullptr) MakeChunk(index);
      Chunk& chunk = *chunks_[index];
      uint8_t type = containers.typecodes[i];
      const void* container = container_unwrap_shared(containers.containers[i], &type);
      switch (type) {
        case BITSET_CONTAINER_TYPE_CODE: {
          const uint64_t* words = static_cast<const bitset_container_t*>(container)->array;
          for (size_t w = 0; w < chunk.size(); ++w) chunk[w] |= words[w];
          break;
        }
        case ARRAY_CONTAINER_TYPE_CODE: {
          const auto* array = static_cast<const array_container_t*>(container);
          for (int32_t j = 0; j < array->cardinality; ++j) {
            const uint16_t low = array->array[j];
            chunk[low >> 6] |= uint64_t{1} << (low & 63);
          }
          break;
        }
        default: {
          const auto* runs = static_cast<const run_container_t*>(container);
          for (int32_t j = 0; j < runs->n_runs; ++j) {
            const uint32_t first = runs->runs[j].value;
            const uint32_t last = first + runs->runs[j].length;
            for (uint32_t low = first; low <= last; ++low) {
              chunk[low >> 6] |= uint64_t{1} << (low & 63);
            }
          }
          break;
        }
      }
    }
  }
}

OrdinalBitmap OrdinalCollector::Finish() {
  // Through the portable format, which copies whole containers.
  std::vector<std::pair<uint16_t, int>> used;
  size_t size = 8;
  for (size_t i = 0; i < chunks_.size(); ++i) {
    if (chunks_[i] == nullptr) continue;
    int count = 0;
    for (const uint64_t word : *chunks_[i]) count += std::popcount(word);
    if (count == 0) continue;
    used.emplace_back(static_cast<uint16_t>(i), count);
    size += 8 + (count <= kMaxArray ? 2 * static_cast<size_t>(count) : sizeof(Chunk));
  }
  OrdinalBitmap result = std::move(rest_);
  rest_ = OrdinalBitmap();
  if (!used.empty()) {
    std::string bytes;
    bytes.reserve(size);
    PutFixed32(&bytes, kCookieWithoutRuns);
    PutFixed32(&bytes, static_cast<uint32_t>(used.size()));
    for (const auto& [key, count] : used) {
      PutFixed16(&bytes, key);
      PutFixed16(&bytes, static_cast<uint16_t>(count - 1));
    }
    uint32_t offset = static_cast<uint32_t>(8 + 8 * used.size());
    for (const auto& [key, count] : used) {
      PutFixed32(&bytes, offset);
      offset += count <= kMaxArray ? 2 * static_cast<uint32_t>(count)
                                   : static_cast<uint32_t>(sizeof(Chunk));
    }
    for (const auto& [key, count] : used) {
      const Chunk& chunk = *chunks_[key];
      if (count > kMaxArray) {
        bytes.append(reinterpret_cast<const char*>(chunk.data()), sizeof(Chunk));
        continue;
      }
      for (size_t w = 0; w < chunk.size(); ++w) {
        for (uint64_t word = chunk[w]; word != 0; word &= word - 1) {
          PutFixed16(&bytes, static_cast<uint16_t>(w * 64 + std::countr_zero(word)));
        }
      }
    }
    result.parts_.emplace(result.parts_.begin(), 0, Roaring::readSafe(bytes.data(), bytes.size()));
  }
  chunks_.clear();
  return result;
}

}  // namespace cookix::engine
