#include "engine/text/text_scoring.h"

#include <algorithm>
#include <cmath>

namespace cookix::engine {
namespace {

constexpr double kK1 = 1.2;
constexpr double kB = 0.75;

}  // namespace

double Bm25Idf(int64_t documents, int64_t df) {
  const double rest = static_cast<double>(documents - df);
  return std::log1p((rest + 0.5) / (static_cast<double>(df) + 0.5));
}

Bm25Leaf::Bm25Leaf(double boost, double idf, const TextFieldTotals& totals) {
  const double documents = static_cast<double>(std::max<int64_t>(totals.documents, 1));
  const double mean = std::max(static_cast<double>(totals.words) / documents, 1.0);
  weight_ = boost * idf * (kK1 + 1);
  base_ = kK1 * (1 - kB);
  slope_ = kK1 * kB / mean;
}

double Bm25Leaf::Score(uint32_t tf, uint32_t length) const {
  const double scaled = slope_ * length;
  return weight_ * (tf / (tf + (base_ + scaled)));
}

}  // namespace cookix::engine
