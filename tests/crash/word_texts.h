// The texts of the crash test: words of which none has another form.
#ifndef COOKIX_TESTS_CRASH_WORD_TEXTS_H_
#define COOKIX_TESTS_CRASH_WORD_TEXTS_H_

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace cookix::tests {

// Of a few dozen words, some of them frequent.
std::string RandomWord(std::mt19937_64& random);

// Up to `most` words, with spaces between.
std::string RandomText(int most, std::mt19937_64& random);

// The words of a text; anything but letters is between them.
std::vector<std::string> WordsOf(std::string_view text);

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_WORD_TEXTS_H_
