// How much room text takes on a terminal.
#ifndef COOKIX_TOOLS_CLI_TEXT_WIDTH_H_
#define COOKIX_TOOLS_CLI_TEXT_WIDTH_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace cookix::cli {

// Columns that `text` takes: East Asian wide characters and emoji count two,
// combining marks none. Invalid bytes count one.
int DisplayWidth(std::string_view text);

// `text` on one line: control characters (line ends, escape sequences) become
// spaces or are shown as "?", so that data cannot drive the terminal.
std::string OneLine(std::string_view text);

// At most `width` columns, ending in "…" when cut.
std::string Shorten(std::string_view text, int width);

// Breaks at spaces into lines of at most `width` columns joined by '\n' and
// `indent` spaces.
std::string Wrap(std::string_view text, int width, int indent);

// True for well-formed UTF-8 without surrogates or overlong forms.
bool IsValidUtf8(std::string_view text);

// 1234567 as "1,234,567".
std::string WithCommas(int64_t value);
// Bytes as "12.3 MiB".
std::string HumanBytes(int64_t bytes);
// Microseconds as "310 µs", "4.2 ms" or "1.25 s".
std::string HumanMicros(int64_t micros);

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_TEXT_WIDTH_H_
