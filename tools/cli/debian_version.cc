#include "tools/cli/debian_version.h"

#include <cstddef>

namespace cookix::cli {
namespace {

struct Parts {
  std::string_view epoch;
  std::string_view upstream;
  std::string_view revision;
};

Parts Split(std::string_view version) {
  Parts parts;
  if (const size_t colon = version.find(':'); colon != std::string_view::npos) {
    parts.epoch = version.substr(0, colon);
    version.remove_prefix(colon + 1);
  }
  if (const size_t dash = version.rfind('-'); dash != std::string_view::npos) {
    parts.revision = version.substr(dash + 1);
    version = version.substr(0, dash);
  }
  parts.upstream = version;
  return parts;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Rank of a character outside a number; 0 is the end of the text.
int Rank(std::string_view text, size_t at) {
  if (at >= text.size() || IsDigit(text[at])) return 0;
  const auto c = static_cast<unsigned char>(text[at]);
  if (c == '~') return -1;
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter ? c : c + 256;
}

std::string_view TakeNumber(std::string_view text, size_t* at) {
  while (*at < text.size() && text[*at] == '0') ++*at;
  const size_t start = *at;
  while (*at < text.size() && IsDigit(text[*at])) ++*at;
  return text.substr(start, *at - start);
}

int CompareNumbers(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

int ComparePart(std::string_view a, std::string_view b) {
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() || j < b.size()) {
    while ((i < a.size() && !IsDigit(a[i])) || (j < b.size() && !IsDigit(b[j]))) {
      const int left = Rank(a, i);
      const int right = Rank(b, j);
      if (left != right) return left - right;
      if (i < a.size() && !IsDigit(a[i])) ++i;
      if (j < b.size() && !IsDigit(b[j])) ++j;
    }
    const std::string_view left = TakeNumber(a, &i);
    const std::string_view right = TakeNumber(b, &j);
    if (const int order = CompareNumbers(left, right); order != 0) return order;
  }
  return 0;
}

std::string_view WithoutZeros(std::string_view number) {
  size_t at = 0;
  return TakeNumber(number, &at);
}

}  // namespace

int CompareDebianVersions(std::string_view a, std::string_view b) {
  const Parts left = Split(a);
  const Parts right = Split(b);
  if (const int order = CompareNumbers(WithoutZeros(left.epoch), WithoutZeros(right.epoch));
      order != 0) {
    return order;
  }
  if (const int order = ComparePart(left.upstream, right.upstream); order != 0) return order;
  return ComparePart(left.revision, right.revision);
}

bool SatisfiesDebianVersion(std::string_view version, std::string_view relation,
                            std::string_view wanted) {
  if (relation.empty()) return true;
  const int order = CompareDebianVersions(version, wanted);
  if (relation == "<<") return order < 0;
  if (relation == "<=" || relation == "<") return order <= 0;
  if (relation == "=") return order == 0;
  if (relation == ">=" || relation == ">") return order >= 0;
  if (relation == ">>") return order > 0;
  return false;
}

}  // namespace cookix::cli
