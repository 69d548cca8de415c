#include "engines/host_key.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsa::engines {
namespace {

using testing::HasSubstr;

// 32 counted bytes as an ed25519 point; the fingerprint is what `ssh-keygen -l` printed.
constexpr std::string_view kKey =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

TEST(HostKey, ReadsALineOfAPubFileWithItsComment) {
    const auto key = parse_host_key("  " + std::string{kKey} + "   root@host\n");
    ASSERT_TRUE(key) << key.error().describe();
    EXPECT_EQ(key->type, "ssh-ed25519");
    EXPECT_EQ(to_string(*key), kKey);
}

TEST(HostKey, FingerprintIsTheOneOfSshKeygen) {
    EXPECT_EQ(fingerprint(*parse_host_key(kKey)), "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA");
}

TEST(HostKey, ABadLineSaysWhatIsWrongAndShowsAGoodOne) {
    const struct {
        std::string_view text, says;
    } cases[] = {
        {"", "it is empty"},
        {"ssh-dss AAAAB3NzaC1kc3MAAACB", "unknown key type \"ssh-dss\""},
        {"ssh-ed25519", "not base64"},
        {"ssh-ed25519 AAAA$$$$", "not base64"},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4", "not base64"},
        {"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
         "not of type ssh-rsa"},
        {"127.0.0.1 ssh-ed25519 AAAA", "unknown key type \"127.0.0.1\""},
    };
    for (const auto& c : cases) {
        const auto key = parse_host_key(c.text);
        ASSERT_FALSE(key) << c.text;
        EXPECT_EQ(key.error().code, ErrorCode::kUsage);
        EXPECT_THAT(key.error().text, HasSubstr(c.says));
        EXPECT_THAT(key.error().text, HasSubstr("ssh_host_ed25519_key.pub"));
    }
    EXPECT_FALSE(parse_host_key(std::string(100'000, 'A')));
}

TEST(HostKey, OnlyPlainNamesAreHostsOrUsers) {
    for (const char* good : {"a", "10.0.0.7", "gpu-01.example.org", "user_1", "fe80:0::1"}) {
        EXPECT_TRUE(is_safe_host_or_user(good)) << good;
    }
    for (const char* bad :
         {"", "-oProxyCommand=id", ".hidden", "a b", "a;b", "a\nb", "$HOME", "user@host", "ü"}) {
        EXPECT_FALSE(is_safe_host_or_user(bad)) << bad;
    }
    EXPECT_FALSE(is_safe_host_or_user(std::string(254, 'a')));
}

}  // namespace
}  // namespace nsa::engines
