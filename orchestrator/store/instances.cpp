// Registered instances.
#include "store/impl.hpp"

namespace nsa::store {

namespace {

#define NSA_INSTANCE_COLUMNS "name, engine, config, host_key, facts, probed_ms, created_ms FROM instance "

Result<InstanceRow> read_instance(Query& found) {
    InstanceRow row;
    row.name = InstanceName{found.text(0)};
    row.engine = found.text(1);
    row.config_json = found.text(2);
    row.host_key = found.text(3);
    Result<std::map<std::string, std::string>> facts = text_map_of(found.text(4));
    if (!facts) return facts.error();
    row.facts = std::move(*facts);
    row.probed_ms = found.integer(5);
    row.created_ms = found.integer(6);
    return row;
}

Error no_such(const InstanceName& name) {
    return fail(ErrorCode::kNotFound, "no such instance", "instance " + name.value);
}

}  // namespace

Result<void> Store::put_instance(const InstanceRow& instance) {
    Database& database = impl_->database;
    return in_transaction(database, "instance " + instance.name.value, [&]() -> Result<void> {
        database.execute(
            "INSERT INTO instance (name, engine, config, host_key, facts, probed_ms, created_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET engine = excluded.engine, "
            "config = excluded.config, host_key = excluded.host_key, facts = excluded.facts, "
            "probed_ms = excluded.probed_ms",
            instance.name, instance.engine, instance.config_json, instance.host_key, json_of(instance.facts),
            instance.probed_ms, instance.created_ms);
        return {};
    });
}

Result<void> Store::set_instance_facts(const InstanceName& name,
                                       const std::map<std::string, std::string>& facts,
                                       std::int64_t probed_ms) {
    Database& database = impl_->database;
    return in_transaction(database, "instance " + name.value, [&]() -> Result<void> {
        const int changed = database.execute("UPDATE instance SET facts = ?, probed_ms = ? WHERE name = ?",
                                             json_of(facts), probed_ms, name);
        if (changed == 0) return no_such(name);
        return {};
    });
}

Result<std::vector<InstanceRow>> Store::list_instances() {
    return read_only(impl_->database, "instances", [&]() -> Result<std::vector<InstanceRow>> {
        return rows_of(impl_->database.query("SELECT " NSA_INSTANCE_COLUMNS "ORDER BY name"), read_instance);
    });
}

Result<InstanceRow> Store::find_instance(const InstanceName& name) {
    return read_only(impl_->database, "instance " + name.value, [&]() -> Result<InstanceRow> {
        Query found = impl_->database.query("SELECT " NSA_INSTANCE_COLUMNS "WHERE name = ?", name);
        if (!found.next()) return no_such(name);
        return read_instance(found);
    });
}

}  // namespace nsa::store
