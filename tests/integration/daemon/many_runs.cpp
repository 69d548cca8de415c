#include "many_runs.hpp"

#include <stdexcept>

#include "instances/config.hpp"
#include "language/yaml/reader.hpp"
#include "store/store.hpp"

namespace nsa::test {

namespace {

constexpr const char* kBusy = "box";

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

store::InstanceRow busy_instance() {
    engines::InstanceConfig box;
    box.name = {kBusy};
    box.host = "127.0.0.1";
    box.port = 1;
    box.user = "nobody";
    box.key_file = "/nonexistent";
    box.host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    store::InstanceRow instance;
    instance.name = box.name;
    instance.engine = "ssh";
    instance.config_json = instances::to_json_text(box);
    return instance;
}

}  // namespace

void fill_store(const std::filesystem::path& file, int runs, const std::string& spec_yaml) {
    store::Store store = must(store::Store::open(file));
    must(store.put_instance(busy_instance()));
    const language::ExperimentSpec spec = must(language::parse_spec(spec_yaml, "test.yaml"));
    const language::Plan plan = must(language::make_plan(spec, spec_yaml));
    for (int i = 0; i < runs; ++i) {
        store::NewRun run =
            store::new_run(RunId{"r-" + std::to_string(100'000 + i)}, plan, spec_yaml, "test.yaml", 1);
        run.requested_instance = {kBusy};
        must(store.submit(run));
        store::RunChange change;
        change.message = "waits for instance box to be free";
        must(store.set_run_state(run.run, change));
    }
}

}  // namespace nsa::test
