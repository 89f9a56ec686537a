#include "tests/crash/word_texts.h"

#include <algorithm>
#include <cstdint>

namespace cookix::tests {
namespace {

constexpr std::string_view kConsonants = "bdfglnr";
constexpr std::string_view kVowels = "aou";

}  // namespace

std::string RandomWord(std::mt19937_64& random) {
  // The lesser of two draws: the first words come up most.
  const uint64_t words = 2 * kConsonants.size() * kVowels.size();
  uint64_t number = std::min(random() % words, random() % words);
  std::string word(1, kConsonants[number % kConsonants.size()]);
  number /= kConsonants.size();
  word += kVowels[number % kVowels.size()];
  return word + (number < kVowels.size() ? "mok" : "tuk");
}

std::string RandomText(int most, std::mt19937_64& random) {
  std::string text;
  for (auto left = random() % (static_cast<uint64_t>(most) + 1); left > 0; --left) {
    if (!text.empty()) text += ' ';
    text += RandomWord(random);
  }
  return text;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char c : text) {
    const bool letter = c >= 'a' && c <= 'z';
    if (letter && !in_word) words.emplace_back();
    if (letter) words.back() += c;
    in_word = letter;
  }
  return words;
}

}  // namespace cookix::tests
