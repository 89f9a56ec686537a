#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "storage/base/status.h"

namespace cookix::server {
namespace {

using ::testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

std::string WriteTemporary(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string FieldOf(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->field : "(no detail)";
}

TEST(ConfigTest, DefaultsAreValid) {
  EXPECT_TRUE(ValidateConfig(Config()).ok());
  const auto parsed = ParseConfig({}, {});
  ASSERT_TRUE(parsed.ok());
  for (const Setting& setting : Settings()) {
    EXPECT_EQ(ValueText(setting, parsed->config), ValueText(setting, Config())) << setting.name;
  }
}

TEST(ConfigTest, NamesAreUniqueAndExplained) {
  std::set<std::string_view> names;
  for (const Setting& setting : Settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_FALSE(setting.help.empty()) << setting.name;
    if (std::holds_alternative<int64_t& (*)(Config&)>(setting.value)) {
      EXPECT_LT(setting.least, setting.greatest) << setting.name;
      // The default is in its own range.
      const auto parsed =
          ParseConfig({"--" + std::string(setting.name) + "=" + ValueText(setting, Config())}, {});
      EXPECT_TRUE(parsed.ok()) << parsed.status();
    }
  }
}

TEST(ConfigTest, FlagsWinOverEnvironmentOverFile) {
  const std::string file =
      WriteTemporary("precedence.yaml", "slow_call_ms: 1\nzstd_level: 2\nexecutor_threads: 3\n");
  const auto parsed =
      ParseConfig({"--config", file, "--slow_call_ms=100"},
                  {{"COOKIX_SLOW_CALL_MS", "50"}, {"COOKIX_ZSTD_LEVEL", "5"}, {"HOME", "/x"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.slow_call_ms, 100);
  EXPECT_EQ(parsed->config.zstd_level, 5);
  EXPECT_EQ(parsed->config.executor_threads, 3);
  EXPECT_EQ(parsed->config.network_threads, Config().network_threads);
}

TEST(ConfigTest, TakesFlagsInEveryForm) {
  const auto parsed = ParseConfig({"--data-dir", "/a b", "--read_only", "--field_index", "false",
                                   "--in_memory=on", "--metrics_listen="},
                                  {});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.data_dir, "/a b");
  EXPECT_TRUE(parsed->config.read_only);
  EXPECT_FALSE(parsed->config.field_index);
  EXPECT_TRUE(parsed->config.in_memory);
  EXPECT_EQ(parsed->config.metrics_listen, "");
}

TEST(ConfigTest, RefusesUnknownNamesAndNamesTheNearest) {
  const auto flag = ParseConfig({"--lisen=127.0.0.1:1"}, {});
  ASSERT_EQ(flag.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(flag.status()), "lisen");
  EXPECT_THAT(std::string(flag.status().message()), HasSubstr("\"listen\""));

  const auto file =
      ParseConfig({"--config=" + WriteTemporary("unknown.yaml", "sync_mod: off\n")}, {});
  ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(file.status()), "sync_mod");
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("\"sync_mode\""));

  const auto environment = ParseConfig({}, {{"COOKIX_LISTN", "x"}});
  ASSERT_EQ(environment.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(environment.status().message()), HasSubstr("COOKIX_LISTN"));
}

TEST(ConfigTest, LeavesOtherProgramsVariablesAlone) {
  const auto parsed = ParseConfig(
      {}, {{"COOKIX_API_KEY", "secret"}, {"COOKIX_SERVICE_HOST", "10.0.0.1"}, {"PATH", "/bin"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->ignored_environment.size(), 2u);
  EXPECT_FALSE(parsed->check);
  EXPECT_TRUE(ParseConfig({"--check-config"}, {})->check);
}

TEST(ConfigTest, RefusesBadValuesNamingTheSetting) {
  for (const std::string flag :
       {"--network_threads=0", "--network_threads=two", "--network_threads=2x",
        "--network_threads=", "--max_message_mb=99999999999999999999", "--sync_mode=fast",
        "--read_only=maybe", "--low_disk_mb=-1", "--zstd_level=23"}) {
    const auto parsed = ParseConfig({flag}, {});
    ASSERT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << flag;
    EXPECT_EQ(FieldOf(parsed.status()), flag.substr(2, flag.find('=') - 2));
  }
  EXPECT_FALSE(ParseConfig({"listen"}, {}).ok());
  EXPECT_FALSE(ParseConfig({"--listen"}, {}).ok());
}

TEST(ConfigTest, RefusesFilesThatAreNoSettings) {
  Config config;
  EXPECT_FALSE(ApplyYaml("- a\n- b\n", "f", &config).ok());
  EXPECT_FALSE(ApplyYaml("listen: [a, b]\n", "f", &config).ok());
  EXPECT_FALSE(ApplyYaml("listen: {host: a}\n", "f", &config).ok());
  EXPECT_FALSE(ApplyYaml("listen: a: b\n", "f", &config).ok());
  EXPECT_FALSE(ApplyYaml("listen: a:1\nlisten: b:2\n", "f", &config).ok());
  EXPECT_FALSE(ApplyYaml("? [x]\n: y\n", "f", &config).ok());
  EXPECT_TRUE(ApplyYaml("", "f", &config).ok());
  EXPECT_TRUE(ApplyYaml("# nothing\n", "f", &config).ok());
  EXPECT_FALSE(ParseConfig({"--config=/does/not/exist"}, {}).ok());
  EXPECT_FALSE(ParseConfig({"--config=" + testing::TempDir()}, {}).ok());
}

TEST(ConfigTest, FindsSettingsThatDoNotFitTogether) {
  Config config;
  config.tls_cert = "cert.pem";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "tls_key");
  config = Config();
  config.tls_client_ca = "ca.pem";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "tls_client_ca");
  config = Config();
  config.data_dir = "";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "data_dir");
  config = Config();
  config.auth = "off";
  config.bootstrap_admin_key_file = "key";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "bootstrap_admin_key_file");
  config = Config();
  config.replication_tls_key = "key.pem";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "replication_tls_cert");
  config.replication_tls_cert = "cert.pem";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "replication_tls_ca");
  config = Config();
  config.archive_seconds = 60;
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "archive_seconds");
  config.backup_dir = "/backups";
  EXPECT_TRUE(ValidateConfig(config).ok());
  config = Config();
  config.sync_replicas = 1;
  EXPECT_TRUE(ValidateConfig(config).ok());
  config.sync_mode = "normal";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "sync_mode");
  config = Config();
  config.sync_replicas = 3;
  config.max_replicas = 2;
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "sync_replicas");
  Config electing;
  electing.etcd_endpoints = "localhost:2379";
  EXPECT_TRUE(ValidateConfig(electing).ok());
  config = electing;
  config.replica_of = "localhost:7625";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "replica_of");
  config = electing;
  config.sync_mode = "normal";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "sync_mode");
  config = electing;
  config.in_memory = true;
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "sync_mode");
  config = electing;
  config.read_only = true;
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "read_only");
  config = electing;
  config.lease_margin_ms = 4000;
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "lease_margin_ms");
  config = electing;
  config.etcd_tls_key = "key.pem";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "etcd_tls_cert");
  config.etcd_tls_cert = "cert.pem";
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "etcd_tls_ca");
  config.etcd_tls_ca = "ca.pem";
  EXPECT_TRUE(ValidateConfig(config).ok());
  config = Config();
  config.max_message_mb = 128;
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "network_memory_mb");
  config = Config();
  config.limits.max_wait_ms = 1;
  EXPECT_EQ(FieldOf(ValidateConfig(config)), "default_wait_ms");
}

TEST(ConfigTest, SampleFileIsCurrentAndEqualsTheDefaults) {
  const std::string text = ReadFile("deploy/config/cookix.yaml");
  EXPECT_EQ(text, SampleYaml());
  Config config;
  // Values that must come back from the file.
  config.zstd_level = 19;
  config.auth = "off";
  config.field_index = false;
  ASSERT_TRUE(ApplyYaml(text, "sample", &config).ok());
  for (const Setting& setting : Settings()) {
    EXPECT_EQ(ValueText(setting, config), ValueText(setting, Config())) << setting.name;
    EXPECT_THAT(text, HasSubstr("\n" + std::string(setting.name) + ": "));
  }
}

TEST(ConfigTest, DocumentationIsCurrent) {
  // Printed by: cookixd --print-config-reference
  EXPECT_THAT(ReadFile("docs/configuration.md"), HasSubstr(ReferenceMarkdown()));
}

TEST(ConfigTest, HelpNamesEverySetting) {
  const std::string help = HelpText();
  for (const Setting& setting : Settings()) {
    EXPECT_THAT(help, HasSubstr("--" + std::string(setting.name) + "="));
  }
}

}  // namespace
}  // namespace cookix::server
