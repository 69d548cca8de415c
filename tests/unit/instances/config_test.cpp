#include "instances/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace nsa::instances {
namespace {

using engines::InstanceConfig;
using testing::HasSubstr;

InstanceConfig good() {
    InstanceConfig config;
    config.name = InstanceName{"a100"};
    config.host = "10.0.0.7";
    config.user = "root";
    config.port = 40022;
    config.key_file = "/home/me/.ssh/id_ed25519";
    config.host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    config.nsa_core = "/opt/nsa/bin/nsa-core";
    config.worker_home = "~/scratch/nsa";
    config.tool_path = "/opt/venv/bin:/usr/local/cuda/bin";
    return config;
}

TEST(InstanceConfig, AGoodOneIsValidAndSurvivesItsJson) {
    EXPECT_TRUE(validate(good()));
    const auto read = config_from_json_text(to_json_text(good()));
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(*read, good());
}

TEST(InstanceConfig, TheLocalInstanceIsValidAndSurvivesItsJson) {
    EXPECT_TRUE(validate(local_instance()));
    EXPECT_EQ(*config_from_json_text(to_json_text(local_instance())), local_instance());
    EXPECT_EQ(address(local_instance()), "this machine");
    EXPECT_EQ(address(good()), "root@10.0.0.7:40022");
}

TEST(InstanceConfig, EveryBadFieldIsNamedWithWhatWouldBeRight) {
    const struct {
        std::function<void(InstanceConfig&)> spoil;
        std::string_view field, says;
    } cases[] = {
        {[](auto& c) { c.name.value = ""; }, "name:", "up to 64"},
        {[](auto& c) { c.name.value = "../x"; }, "name:", "letters"},
        {[](auto& c) { c.name.value = std::string(65, 'a'); }, "name:", "up to 64"},
        {[](auto& c) { c.host = "-oProxyCommand=id"; }, "host:", "letter or digit first"},
        {[](auto& c) { c.host.clear(); }, "host:", "no plain name"},
        {[](auto& c) { c.user = "a b"; }, "user:", "no plain name"},
        {[](auto& c) { c.port = 0; }, "port:", "1..65535"},
        {[](auto& c) { c.port = 65536; }, "port:", "1..65535"},
        {[](auto& c) { c.key_file = "id_ed25519"; }, "key_file:", "absolute path"},
        {[](auto& c) { c.host_key.clear(); }, "host_key:", "pinned"},
        {[](auto& c) { c.host_key = "ssh-ed25519 no-sense"; }, "host_key:", "base64"},
        {[](auto& c) { c.nsa_core = "bin/nsa-core"; }, "nsa_core:", "absolute path"},
        {[](auto& c) { c.worker_home = "/a/../b"; }, "worker_home:", "plain characters"},
        {[](auto& c) { c.worker_home = "/tmp/$(id)"; }, "worker_home:", "plain characters"},
        {[](auto& c) { c.tool_path = "/opt/bin:bin"; }, "path:", "absolute folders"},
        {[](auto& c) { c.tool_path = "/opt/bin:"; }, "path:", "absolute folders"},
        {[](auto& c) { c.tool_path = "/opt/$(id)"; }, "path:", "plain characters"},
        {[](auto& c) { c.engine = language::EngineKind::kSlurm; }, "engine:", "\"ssh\" or \"local\""},
        {[](auto& c) { c.engine = language::EngineKind::kLocal; }, "worker_home:", "absolute"},
        {[](auto& c) {
             c.engine = language::EngineKind::kLocal;
             c.worker_home.clear();
         },
         "engine:", "no host"},
    };
    for (const auto& c : cases) {
        InstanceConfig config = good();
        c.spoil(config);
        const auto valid = validate(config);
        ASSERT_FALSE(valid) << c.field;
        EXPECT_EQ(valid.error().code, ErrorCode::kUsage);
        EXPECT_THAT(valid.error().text, testing::StartsWith(std::string{c.field}));
        EXPECT_THAT(valid.error().text, HasSubstr(std::string{c.says}));
        EXPECT_THAT(valid.error().where, HasSubstr("instance "));
    }
}

TEST(InstanceConfig, AStoredRowThatDoesNotHoldTogetherIsCorrupt) {
    std::string without_port = to_json_text(good());
    without_port.replace(without_port.find("\"port\""), 6, "\"prt\"");
    std::string text_port = to_json_text(good());
    text_port.replace(text_port.find("40022"), 5, "\"ssh\"");
    std::string newer = to_json_text(good());
    newer.insert(1, "\"jump\":\"x\",");
    for (const std::string& text :
         {std::string{}, std::string{"[]"}, std::string{"{\"name\":1}"}, without_port, text_port, newer}) {
        const auto config = config_from_json_text(text);
        ASSERT_FALSE(config) << text;
        EXPECT_EQ(config.error().code, ErrorCode::kCorrupt);
    }
}

}  // namespace
}  // namespace nsa::instances
