// The paths of the analyzer are one: what the tables make of a text is what ICU makes
// of it, on random strings of characters that are hard on word boundaries.
#include <random>
#include <string>
#include <vector>

#include "engine/text/analyzer.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

struct Word {
  std::string term;
  uint32_t position;
  uint32_t begin;
  uint32_t end;
  bool operator==(const Word&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Word& word) {
  return out << word.position << ":'" << word.term << "'[" << word.begin << "," << word.end << ")";
}

std::vector<Word> Collect(const Analyzer& analyzer, std::string_view text, bool by_icu) {
  std::vector<Word> words;
  const auto sink = [&](const Token& token) {
    words.push_back({std::string(token.term), token.position, token.begin, token.end});
  };
  if (by_icu) {
    analyzer.AnalyzeByIcuForTest(text, sink);
  } else {
    analyzer.AnalyzeAllWords(text, sink);
  }
  return words;
}

std::shared_ptr<const Analyzer> Make(std::string language, bool fold = true) {
  auto analyzer = Analyzer::Create(
      {.language = std::move(language), .case_folding = fold, .accent_folding = fold}, "analyzer");
  EXPECT_TRUE(analyzer.ok()) << analyzer.status();
  return *analyzer;
}

void AppendUtf8(uint32_t c, std::string* text) {
  if (c < 0x80) {
    *text += static_cast<char>(c);
  } else if (c < 0x800) {
    *text += static_cast<char>(0xC0 | c >> 6);
    *text += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    *text += static_cast<char>(0xE0 | c >> 12);
    *text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *text += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    *text += static_cast<char>(0xF0 | c >> 18);
    *text += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    *text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *text += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// Strings of one to `longest` pieces of `alphabet`, compared on both paths.
void CompareRandom(const std::vector<std::string>& alphabet, size_t longest, size_t strings,
                   uint64_t seed) {
  const std::vector<std::shared_ptr<const Analyzer>> analyzers = {
      Make(""), Make("en"), Make("fr"), Make("tr"), Make("ro"), Make("de", false)};
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < strings; ++i) {
    std::string text;
    for (size_t left = 1 + random() % longest; left > 0; --left) {
      text += alphabet[random() % alphabet.size()];
    }
    const Analyzer& analyzer = *analyzers[i % analyzers.size()];
    ASSERT_EQ(Collect(analyzer, text, false), Collect(analyzer, text, true))
        << "'" << text << "', " << analyzer.version();
  }
}

std::vector<std::string> Characters(uint32_t begin, uint32_t end) {
  std::vector<std::string> characters;
  for (uint32_t c = begin; c < end; ++c) AppendUtf8(c, &characters.emplace_back());
  return characters;
}

TEST(AnalyzerPathTest, AsciiThatIsHardOnWordBoundaries) {
  const std::vector<std::string> alphabet = {
      "a", "B", "s", "e", "1",  "0",  "'", "\"", ".",  ",",  ";", ":",    "_", "-",
      "@", " ", "a", "9", "\n", "\r", "/", "$",  "'s", "l'", "I", "ings", "D", "\t"};
  CompareRandom(alphabet, 14, 120'000, 4);
}

TEST(AnalyzerPathTest, AllOfAscii) { CompareRandom(Characters(0, 128), 40, 30'000, 5); }

TEST(AnalyzerPathTest, EveryEuropeanCharacterByItselfAndAmongLetters) {
  const auto analyzers = {Make(""), Make("tr"), Make("ro"), Make("de", false)};
  for (uint32_t c = 0; c < 0x2100; ++c) {
    std::string character;
    AppendUtf8(c, &character);
    for (const std::string& text :
         {character, "a" + character + "b", "1" + character + "2", "x" + character, character + "X",
          "a" + character + character + "b", "a " + character + "b", "a." + character + ".1"}) {
      for (const auto& analyzer : analyzers) {
        ASSERT_EQ(Collect(*analyzer, text, false), Collect(*analyzer, text, true))
            << "'" << text << "' " << c;
      }
    }
  }
}

TEST(AnalyzerPathTest, EuropeanText) {
  std::vector<std::string> alphabet = Characters(0xA0, 0x590);
  for (const std::string& character : Characters(0x1E00, 0x2070)) alphabet.push_back(character);
  const std::vector<std::string> often = {"a", "e", "1", ".", "'", "’", "_", " ", "é", "ß", "я"};
  for (int i = 0; i < 150; ++i) alphabet.insert(alphabet.end(), often.begin(), often.end());
  CompareRandom(alphabet, 16, 60'000, 6);
}

TEST(AnalyzerPathTest, AllScriptsSideBySide) {
  std::vector<std::string> alphabet = Characters(0x600, 0xE80);
  for (const auto& [begin, end] : std::vector<std::pair<uint32_t, uint32_t>>{{0x300, 0x310},
                                                                             {0x3000, 0x3100},
                                                                             {0x4E00, 0x4E80},
                                                                             {0xAC00, 0xAC40},
                                                                             {0xFE00, 0xFE10},
                                                                             {0xFF00, 0xFFA0},
                                                                             {0x1F300, 0x1F700},
                                                                             {0x1F1E6, 0x1F200}}) {
    for (const std::string& character : Characters(begin, end)) alphabet.push_back(character);
  }
  const std::vector<std::string> often = {"a", "B", "1", " ",      "  ", "@",      ".",
                                          "'", "é", "_", "\u0301", "\n", "\u200D", "\uFE0F"};
  for (int i = 0; i < 100; ++i) alphabet.insert(alphabet.end(), often.begin(), often.end());
  CompareRandom(alphabet, 16, 40'000, 7);
}

TEST(AnalyzerPathTest, BytesThatAreNoText) {
  std::vector<std::string> alphabet = {"a", "é", " ", "東", "\xE2\x80", "\xF0\x9F", ".", "1"};
  for (int byte = 0x80; byte < 0x100; ++byte) alphabet.emplace_back(1, static_cast<char>(byte));
  CompareRandom(alphabet, 12, 20'000, 8);
}

}  // namespace
}  // namespace cookix::engine
