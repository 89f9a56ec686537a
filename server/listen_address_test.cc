#include "server/listen_address.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace cookix::server {
namespace {

TEST(ListenAddressTest, TellsWhoCanReachIt) {
  const std::pair<const char*, bool> cases[] = {
      {"127.0.0.1:7625", true},
      {"127.8.9.1:0", true},
      {"localhost:1", true},
      {"[::1]:7625", true},
      {"[::ffff:127.0.0.1]:1", true},
      {"unix:/run/cookix.sock", true},
      {"0.0.0.0:7625", false},
      {"[::]:7625", false},
      {"10.0.0.1:1", false},
      {"db.example.com:1", false},
      {"localhost.example.com:1", false},
      {"[::ffff:10.0.0.1]:1", false},
      {"127.0.0.1.example.com:1", false},
  };
  for (const auto& [text, local] : cases) {
    const auto address = ParseListenAddress(text, "listen", true);
    ASSERT_TRUE(address.ok()) << text << " " << address.status();
    EXPECT_EQ(address->IsLocal(), local) << text;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(ListenAddressTest, RefusesWhatIsNoAddress) {
  const std::string long_path(108, 'x');
  for (const std::string& text :
       {std::string(""), std::string(":1"), std::string("host"), std::string("host:"),
        std::string("host:99999"), std::string("host:-1"), std::string("host:12x"),
        std::string("::1:7625"), std::string("[::1:7625"), std::string("[x]:1"),
        std::string("a,b:1"), std::string("unix:"), "unix:" + long_path}) {
    EXPECT_EQ(ParseListenAddress(text, "listen", true).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_FALSE(ParseListenAddress("unix:/x", "metrics_listen", false).ok());
}

TEST(ListenAddressTest, Wildcards) {
  for (const auto& [text, wildcard] : std::map<std::string, bool>{{"0.0.0.0:1", true},
                                                                  {"[::]:1", true},
                                                                  {"127.0.0.1:1", false},
                                                                  {"[::1]:1", false},
                                                                  {"localhost:1", false},
                                                                  {"unix:/a", false}}) {
    const auto address = ParseListenAddress(text, "listen", true);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->IsWildcard(), wildcard) << text;
  }
}

}  // namespace
}  // namespace cookix::server
