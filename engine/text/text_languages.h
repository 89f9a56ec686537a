// The languages that texts can be analyzed in.
#ifndef COOKIX_ENGINE_TEXT_TEXT_LANGUAGES_H_
#define COOKIX_ENGINE_TEXT_TEXT_LANGUAGES_H_

#include <span>
#include <string>
#include <string_view>

namespace cookix::engine {

struct TextLanguage {
  std::string_view code;     // ISO 639-1
  std::string_view stemmer;  // Snowball's name for it
  // Separated by spaces, in lower case. May be empty.
  std::string_view stop_words;
  // What an apostrophe cuts off at the front of a word, separated by spaces. ASCII.
  std::string_view elisions;
};

// In order of their codes.
std::span<const TextLanguage> KnownLanguages();

// Null for a language that is not known.
const TextLanguage* FindLanguage(std::string_view code);

// "ar, ca, da, ...", for messages.
std::string KnownLanguageCodes();

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_LANGUAGES_H_
