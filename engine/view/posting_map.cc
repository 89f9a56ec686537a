#include "engine/view/posting_map.h"

namespace cookix::engine {

void Posting::Add(Ordinal ordinal) {
  switch (tag()) {
    case kOne: {
      if (one() == ordinal) return;
      auto* both = new List{std::min(one(), ordinal), std::max(one(), ordinal)};
      Set(both);
      return;
    }
    case kList: {
      List& ordinals = *list();
      const auto it = std::lower_bound(ordinals.begin(), ordinals.end(), ordinal);
      if (it != ordinals.end() && *it == ordinal) return;
      if (ordinals.size() < kMaxListed) {
        ordinals.insert(it, ordinal);
        return;
      }
      auto* all = new OrdinalBitmap();
      for (const Ordinal each : ordinals) all->Add(each);
      all->Add(ordinal);
      delete &ordinals;
      Set(all);
      return;
    }
    default:
      bitmap()->Add(ordinal);
  }
}

bool Posting::Remove(Ordinal ordinal) {
  switch (tag()) {
    case kOne:
      return one() == ordinal;
    case kList: {
      List& ordinals = *list();
      const auto it = std::lower_bound(ordinals.begin(), ordinals.end(), ordinal);
      if (it == ordinals.end() || *it != ordinal) return false;
      ordinals.erase(it);
      if (ordinals.size() > 1) return false;
      const Ordinal left = ordinals.front();
      delete &ordinals;
      word_ = left << 2 | kOne;
      return false;
    }
    default: {
      bitmap()->Remove(ordinal);
      if (!bitmap()->empty()) return false;
      Free();
      return true;
    }
  }
}

void Posting::Free() {
  if (tag() == kList) delete list();
  if (tag() == kBitmap) delete bitmap();
  word_ = kOne;
}

void Posting::AddTo(OrdinalCollector* collector) const {
  switch (tag()) {
    case kOne:
      collector->Add(one());
      return;
    case kList:
      for (const Ordinal ordinal : *list()) collector->Add(ordinal);
      return;
    default:
      collector->Add(*bitmap());
  }
}

OrdinalBitmap Posting::ToBitmap() const {
  if (tag() == kBitmap) return *bitmap();
  OrdinalBitmap result;
  if (tag() == kOne) {
    result.Add(one());
  } else {
    for (const Ordinal ordinal : *list()) result.Add(ordinal);
  }
  return result;
}

int64_t Posting::MemoryBytes() const {
  // Each allocation costs 16 bytes besides.
  switch (tag()) {
    case kOne:
      return 0;
    case kList:
      return static_cast<int64_t>(sizeof(List) + list()->capacity() * sizeof(Ordinal) + 32);
    default:
      return static_cast<int64_t>(sizeof(OrdinalBitmap) + 16) + bitmap()->MemoryBytes();
  }
}

}  // namespace cookix::engine
