#include "ssh_rig.hpp"

#include "support/run.hpp"

namespace nsa::faults {

namespace {

WorkloadShape with_boxes(WorkloadShape shape, int boxes) {
    for (int box = 0; box < boxes; ++box)
        shape.instances.push_back(SshRig::box_name(box));
    return shape;
}

}  // namespace

SshRig::SshRig(const Lab& lab, const std::string& name, std::string replay, int boxes, WorkloadShape shape,
               std::uint64_t seed)
    : sshd_({"LogLevel ERROR", "MaxStartups 400"}),
      rig_(lab, name, std::move(replay), with_boxes(std::move(shape), boxes), seed) {
    for (int box = 0; box < boxes; ++box) {
        proxies_.push_back(std::make_unique<FaultProxy>(thread_, sshd_.port()));
        rig_.scene().worker_homes.push_back(sshd_.home() / box_name(box));
    }
    rig_.trial().also_owns(sshd_.dir());
}

std::string SshRig::add_boxes() {
    const engines::InstanceConfig config = sshd_.instance();
    for (int box = 0; box < boxes(); ++box) {
        api::InstanceRequest request;
        request.name = {box_name(box)};
        request.engine = "ssh";
        request.host = config.host;
        request.port = proxy(box).port();
        request.user = config.user;
        request.key_file = config.key_file;
        request.host_key = config.host_key;
        request.worker_home = (sshd_.home() / box_name(box)).string();
        const Result<api::InstanceView> added =
            test::run(rig_.io(), rig_.work().api().add_instance(request), kAnswered);
        if (!added) return added.error().describe();
        if (added->state != "ready") return box_name(box) + " is " + added->state + ": " + added->message;
    }
    return {};
}

int SshRig::cuts() const {
    int sum = 0;
    for (const auto& proxy : proxies_)
        sum += proxy->cuts();
    return sum;
}

}  // namespace nsa::faults
