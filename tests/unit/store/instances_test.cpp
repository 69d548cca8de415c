// Registered instances.
#include "fixture.hpp"

namespace nsa::store {
namespace {

TEST_F(StoreTest, An_instance_keeps_config_pin_and_facts) {
    Store store = open();
    InstanceRow h200{InstanceName{"h200"}, "ssh", R"({"host":"h"})", "ssh-ed25519 AAAA", {}, 0, 1'000};
    must(store.put_instance(h200));
    must(store.put_instance({InstanceName{"a100"}, "ssh", "{}", "", {}, 0, 1'000}));
    must(store.set_instance_facts(h200.name, {{"gpu.0.name", "NVIDIA H200"}}, 2'000));
    h200.facts = {{"gpu.0.name", "NVIDIA H200"}};
    h200.probed_ms = 2'000;
    EXPECT_EQ(must(store.find_instance(h200.name)), h200);
    const std::vector<InstanceRow> all = must(store.list_instances());
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].name.value, "a100");
}

TEST_F(StoreTest, Registering_again_replaces_the_pin_and_keeps_the_first_day) {
    Store store = open();
    must(store.put_instance({InstanceName{"h200"}, "ssh", "{}", "ssh-ed25519 OLD", {}, 0, 1'000}));
    must(store.put_instance({InstanceName{"h200"}, "ssh", "{}", "ssh-ed25519 NEW", {}, 0, 9'000}));
    const InstanceRow row = must(store.find_instance(InstanceName{"h200"}));
    EXPECT_EQ(row.host_key, "ssh-ed25519 NEW");
    EXPECT_EQ(row.created_ms, 1'000);
}

TEST_F(StoreTest, An_unknown_instance_is_not_found) {
    Store store = open();
    EXPECT_EQ(store.find_instance(InstanceName{"x"}).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(store.set_instance_facts(InstanceName{"x"}, {}, 1).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace nsa::store
