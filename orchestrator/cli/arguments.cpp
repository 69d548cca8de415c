#include "cli/arguments.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <memory>

#include "cli/text.hpp"
#include "language/text.hpp"
#include "language/verdict.hpp"

namespace nsa::cli {
namespace {

constexpr char kFooter[] =
    R"(Exit codes: 0 PASS, 1 FAIL, 2 usage or invalid spec, 3 PARTIAL PASS, 4 infrastructure,
5 nothing ran, 6 inconclusive, 7 cancelled, 8 not finished, 9 not found,
124 wait expired, 130 interrupted.

RUN is a run id, the start of one that is unique, or 'last'.
State: --state-dir, NSA_STATE_DIR, $XDG_STATE_HOME/nsa, ~/.local/state/nsa; the socket is nsad.sock there.
`nsactl VERB --help` tells more about a verb.)";

// The parsed values while CLI11 fills them; the chosen verb moves its part into the Invocation.
struct Slots {
    ValidateArgs validate;
    PlanArgs plan;
    SubmitArgs submit;
    RunArgs run;
    PsArgs ps;
    StatusArgs status;
    LogsArgs logs;
    CancelArgs cancel;
    ReportArgs report;
    ArtifactsArgs artifacts;
    PullArgs pull;
    InstanceAddArgs add;
    InstanceProbeArgs probe;
    VersionArgs version;
    std::string submit_timeout, run_timeout, version_wait, output;
    std::optional<Command> chosen;
};

const CLI::Validator kDuration(
    [](std::string& text) {
        return parse_duration_ms(text) ? std::string{}
                                       : "'" + text + "' is not a duration; write it like 90s, 15m, 4h";
    },
    "DURATION");

// Help without CLI11's remarks on types, checks and exclusions: the texts say what is needed.
class HelpFormatter final : public CLI::Formatter {
  public:
    HelpFormatter() {
        constexpr std::size_t kNameColumns = 34;
        column_width(kNameColumns);
        label("SUBCOMMAND", "VERB");
        label("Positionals", "Arguments");
    }
    std::string make_option_opts(const CLI::Option* option) const override {
        const std::string type = option->get_option_text();
        return type.empty() ? "" : " " + type;
    }
};

class Parser {
  public:
    Parser() : app_("Submits experiments, follows them, and fetches their verdicts and reports.", "nsactl") {
        app_.require_subcommand(1);
        app_.set_help_flag("-h,--help", "Show this help");
        app_.fallthrough();
        app_.formatter(std::make_shared<HelpFormatter>());
        app_.footer(kFooter);
        app_.add_option("--socket", invocation_.paths.socket,
                        "Socket of nsad (nsad.sock in its state folder)")
            ->option_text("PATH");
        app_.add_option("--state-dir", invocation_.paths.state_dir, "State directory of nsad")
            ->option_text("DIR");
        spec_verbs();
        run_verbs();
        result_verbs();
        instance_verbs();
        auto* version = verb("version", "Versions of nsactl and of the daemon", slots_.version, true);
        version->add_option("--wait", slots_.version_wait, "Wait this long for a daemon that is starting")
            ->option_text("DURATION")
            ->check(kDuration);
    }

    Parsed parse(std::vector<std::string> arguments) {
        std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
        try {
            app_.parse(std::move(arguments));
        } catch (const CLI::ParseError& error) {
            return explain(error);
        }
        return finish();
    }

  private:
    // A verb that, when given, makes `slot` the command.
    template <class Args>
    CLI::App* verb(const std::string& name, const std::string& help, Args& slot, bool has_output,
                   CLI::App* under = nullptr) {
        CLI::App* sub = (under != nullptr ? under : &app_)->add_subcommand(name, help);
        sub->group("Verbs");
        sub->footer("");
        sub->callback([this, sub, &slot] {
            if (sub->get_subcommands().empty()) slots_.chosen = slot;
        });
        if (has_output)
            sub->add_option("-o,--output", slots_.output, "table (default) or json")
                ->option_text("FORMAT")
                ->check(CLI::IsMember({"table", "json"}));
        return sub;
    }
    static void spec_argument(CLI::App* sub, std::string& spec) {
        sub->add_option("SPEC", spec, "Experiment file; - for standard input")->required()->option_text("");
    }
    static void run_argument(CLI::App* sub, std::string& run) {
        sub->add_option("RUN", run, "Run id, its unique start, or 'last'")->required()->option_text("");
    }
    static void instance_option(CLI::App* sub, std::string& instance) {
        sub->add_option("-i,--instance", instance, "Run on this instance, whatever the spec's target says")
            ->option_text("NAME");
    }
    static void timeout_option(CLI::App* sub, std::string& timeout) {
        sub->add_option("--timeout", timeout, "Stop waiting after this long (exit code 124); the run goes on")
            ->option_text("DURATION")
            ->check(kDuration);
    }

    void spec_verbs() {
        auto* validate = verb("validate", "Check experiment files", slots_.validate, true);
        validate->add_option("SPEC", slots_.validate.specs, "Experiment files; - for standard input")
            ->required()
            ->option_text("");
        auto* plan = verb("plan", "Show what an experiment would run, and its thresholds", slots_.plan, true);
        spec_argument(plan, slots_.plan.spec);
        instance_option(plan, slots_.plan.instance);
        static SchemaArgs schema;
        verb("schema", "Print the JSON Schema of experiment files", schema, false);
    }

    void run_verbs() {
        auto* submit = verb("submit", "Hand an experiment to nsad; prints the run id", slots_.submit, true);
        spec_argument(submit, slots_.submit.spec);
        instance_option(submit, slots_.submit.instance);
        submit->add_flag("-w,--wait", slots_.submit.wait, "Follow the run; the exit code states its verdict");
        timeout_option(submit, slots_.submit_timeout);
        submit
            ->add_option("--key", slots_.submit.key,
                         "Idempotency key: the same key, experiment and working tree give the same run")
            ->option_text("TEXT");
        auto* run = verb("run", "Run an experiment and follow it; needs no daemon", slots_.run, true);
        run->footer(
            "With a daemon the run is submitted to it, and Ctrl-C leaves it running there.\n"
            "Without one this process does the daemon's work on this machine, and a second\n"
            "Ctrl-C cancels the run.");
        spec_argument(run, slots_.run.spec);
        instance_option(run, slots_.run.instance);
        timeout_option(run, slots_.run_timeout);
        run->add_option(
               "--artifacts", invocation_.paths.artifacts_dir,
               "Where artifacts go without a daemon; else NSA_ARTIFACTS_DIR, ./artifacts if it exists")
            ->option_text("DIR");
        auto* ps = verb("ps", "List runs, newest first", slots_.ps, true);
        ps->alias("list");
        ps->add_option("-n,--limit", slots_.ps.limit, "At most this many (20)")
            ->option_text("N")
            ->check(CLI::Range(1, 10'000));
        auto* status = verb("status", "Show a run; the exit code states its verdict", slots_.status, true);
        run_argument(status, slots_.status.run);
        status->add_flag("-w,--watch", slots_.status.watch, "Follow it until it is done");
        auto* cancel = verb("cancel", "Stop a run", slots_.cancel, true);
        run_argument(cancel, slots_.cancel.run);
    }

    void result_verbs() {
        auto* logs = verb("logs", "Print what a run's cases, or its set-up, wrote", slots_.logs, false);
        run_argument(logs, slots_.logs.run);
        logs->add_option("CASE", slots_.logs.key, "Case, or a step that has one case; all cases without it")
            ->option_text("");
        logs->add_flag("-f,--follow", slots_.logs.follow, "Go on until the case, or the run, is over");
        logs->add_flag("--stderr", slots_.logs.use_stderr, "Standard error instead of standard output");
        logs->add_flag("--setup", slots_.logs.setup,
                       "Of the set-up instead; CASE is the number of a command, from 0");
        auto* report = verb("report", "Render the report of a finished run again, from the database",
                            slots_.report, true);
        run_argument(report, slots_.report.run);
        report->add_flag("--print", slots_.report.print, "Print the Markdown instead of its path");
        auto* artifacts = verb("artifacts", "List the files of a run, or copy them", slots_.artifacts, true);
        artifacts->add_option("RUN", slots_.artifacts.run, "Run id, its unique start, or 'last'")
            ->option_text("");
        auto* pull =
            verb("pull", "Copy the files of a run, each checked by its hash", slots_.pull, false, artifacts);
        run_argument(pull, slots_.pull.run);
        pull->add_option("DIR", slots_.pull.into, "Into this folder (./RUN)")->option_text("");
    }

    void instance_verbs() {
        auto* instance = app_.add_subcommand("instance", "Manage the hosts that runs go to");
        instance->group("Verbs");
        instance->require_subcommand(1);
        instance->footer("");
        auto* add = verb("add", "Register a host and probe it", slots_.add, true, instance);
        add->footer(
            "Without --host-key or --accept-fingerprint the host is asked for its key and you\n"
            "for your consent. Authentication is by public key only.\n\n"
            "  nsactl instance add a100 root@203.0.113.7:40022 --key ~/.ssh/id_ed25519");
        add->add_option("NAME", slots_.add.name, "What to call it")->required()->option_text("");
        add->add_option("ADDRESS", slots_.add.address, "USER@HOST[:PORT], or 'local' for this machine")
            ->required()
            ->option_text("");
        add->add_option("--key", slots_.add.key_file, "Private key to log in with")->option_text("FILE");
        auto* key =
            add->add_option("--host-key", slots_.add.host_key, "The host's public key, 'ssh-ed25519 AAAA...'")
                ->option_text("KEY");
        add->add_option("--accept-fingerprint", slots_.add.accept_fingerprint,
                        "Take the key that the host shows if it has this fingerprint")
            ->option_text("SHA256:...")
            ->excludes(key);
        add->add_option("--nsa-core", slots_.add.nsa_core,
                        "nsa-core on the host; without it, built there on demand")
            ->option_text("PATH");
        add->add_option("--worker-home", slots_.add.worker_home, "Folder of the worker on the host (~/.nsa)")
            ->option_text("PATH");
        add->add_option("--path", slots_.add.tool_path,
                        "Folders put before PATH there: where cmake, python3 and nvcc are")
            ->option_text("DIR[:DIR]");
        add->add_flag("--replace", slots_.add.replace, "Change an instance of that name");
        static InstanceListArgs list;
        verb("list", "Show all instances", list, true, instance)->alias("ls");
        auto* probe =
            verb("probe", "Connect to an instance now and show its facts", slots_.probe, true, instance);
        probe->add_option("NAME", slots_.probe.name, "Instance")->required()->option_text("");
    }

    Parsed finish() {
        Parsed parsed;
        slots_.submit.timeout_ms = parse_duration_ms(slots_.submit_timeout);
        slots_.run.timeout_ms = parse_duration_ms(slots_.run_timeout);
        slots_.version.wait_ms = parse_duration_ms(slots_.version_wait).value_or(0);
        // The callbacks ran before the durations were there, so the chosen verb is taken again.
        if (std::holds_alternative<SubmitArgs>(*slots_.chosen)) slots_.chosen = slots_.submit;
        if (std::holds_alternative<RunArgs>(*slots_.chosen)) slots_.chosen = slots_.run;
        if (std::holds_alternative<VersionArgs>(*slots_.chosen)) slots_.chosen = slots_.version;
        if (const auto* list = std::get_if<ArtifactsArgs>(&*slots_.chosen);
            list != nullptr && list->run.empty()) {
            parsed.exit_code = language::exit_code::kUsage;
            parsed.err = "nsactl artifacts: RUN is missing: artifacts RUN, or artifacts pull RUN [DIR]\n";
            return parsed;
        }
        invocation_.output = slots_.output == "json" ? Output::kJson : Output::kTable;
        invocation_.command = std::move(*slots_.chosen);
        parsed.invocation = std::move(invocation_);
        return parsed;
    }

    // The verb at which parsing stopped: its help is the one to show.
    const CLI::App* deepest() const {
        const CLI::App* at = &app_;
        while (!at->get_subcommands().empty())
            at = at->get_subcommands().back();
        return at;
    }

    static std::string path_of(const CLI::App* app) {
        return app->get_parent() == nullptr ? app->get_name()
                                            : path_of(app->get_parent()) + " " + app->get_name();
    }

    Parsed explain(const CLI::ParseError& error) const {
        Parsed parsed;
        const CLI::App* at = deepest();
        if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
            parsed.out = at->help(at->get_parent() == nullptr ? "" : path_of(at->get_parent()));
            while (parsed.out.ends_with("\n\n"))
                parsed.out.pop_back();
            return parsed;
        }
        parsed.exit_code = language::exit_code::kUsage;
        parsed.err = path_of(at) + ": " + what_is_wrong(at, error) + "\nTry: " + path_of(at) + " --help\n";
        return parsed;
    }

    // CLI11's sentence, but for what is unexpected: a verb that was meant, or all there are.
    std::string what_is_wrong(const CLI::App* at, const CLI::ParseError& error) const {
        const std::vector<std::string> unexpected = app_.remaining(true);
        std::vector<std::string> names;
        for (const CLI::App* sub : at->get_subcommands([](const CLI::App*) { return true; }))
            names.push_back(sub->get_name());
        const bool wants_verb = at->get_require_subcommand_min() > 0;
        const bool is_verb = wants_verb && !unexpected.empty() && !unexpected.front().starts_with('-');
        const std::string list = "; verbs are " + language::join(std::span<const std::string>(names));
        if (is_verb) {
            const std::vector<std::string_view> views(names.begin(), names.end());
            const std::string_view near = language::nearest_word(unexpected.front(), views);
            return "there is no verb '" + harmless(unexpected.front()) + "'" +
                   (near.empty() ? list : "; did you mean '" + std::string(near) + "'?");
        }
        if (!unexpected.empty()) return "unexpected argument '" + harmless(unexpected.front()) + "'";
        return wants_verb ? "a verb is missing" + list : error.what();
    }

    CLI::App app_;
    Slots slots_;
    Invocation invocation_;
};

}  // namespace

Parsed parse_arguments(std::vector<std::string> arguments) {
    return Parser().parse(std::move(arguments));
}

}  // namespace nsa::cli
