#include "runner/limits.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <cstdio>

namespace nsa::runner {
namespace {

std::string seconds_text(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g s", static_cast<double>(duration.count()) / 1000.0);
    return text;
}

language::EndKind kind_of(StopReason reason) {
    switch (reason) {
        case StopReason::kWall:
            return language::EndKind::kTimedOut;
        case StopReason::kSilence:
            return language::EndKind::kSilent;
        case StopReason::kCancel:
            return language::EndKind::kCancelled;
        case StopReason::kDiskFull:
            return language::EndKind::kSignalled;
        case StopReason::kNone:
            break;
    }
    return language::EndKind::kExited;
}

std::string detail_of(StopReason reason, const Limits& limits) {
    switch (reason) {
        case StopReason::kWall:
            return "stopped at its wall limit of " + seconds_text(limits.wall);
        case StopReason::kSilence:
            return "stopped after " + seconds_text(limits.silence) + " without output";
        case StopReason::kCancel:
            return "stopped because the run was told to stop";
        case StopReason::kDiskFull:
            return "stopped because the disk of the run directory is full (ENOSPC)";
        case StopReason::kNone:
            break;
    }
    return {};
}

}  // namespace

void LimitWatch::stop(StopReason reason) {
    if (reason_ == StopReason::kNone) reason_ = reason;
}

StopReason LimitWatch::due(Instant now) const {
    if (reason_ != StopReason::kNone) return reason_;
    if (limits_.wall.count() > 0 && now >= start_ + limits_.wall) return StopReason::kWall;
    if (limits_.silence.count() > 0 && now >= last_output_ + limits_.silence) return StopReason::kSilence;
    return StopReason::kNone;
}

Action LimitWatch::step(Instant now) {
    switch (stage_) {
        case Stage::kRunning:
            reason_ = due(now);
            if (reason_ == StopReason::kNone) return Action::kNone;
            stage_ = Stage::kTold;
            stage_since_ = now;
            return Action::kTerm;
        case Stage::kTold:
            if (now < stage_since_ + limits_.grace) return Action::kNone;
            stage_ = Stage::kKilled;
            stage_since_ = now;
            return Action::kKill;
        case Stage::kKilled:
            if (now < stage_since_ + limits_.kill_wait) return Action::kNone;
            stage_ = Stage::kGivenUp;
            return Action::kGiveUp;
        case Stage::kGivenUp:
            break;
    }
    return Action::kNone;
}

std::optional<Instant> LimitWatch::next() const {
    switch (stage_) {
        case Stage::kRunning: {
            if (reason_ != StopReason::kNone) return stage_since_;  // at once
            std::optional<Instant> next;
            if (limits_.wall.count() > 0) next = start_ + limits_.wall;
            if (limits_.silence.count() > 0) {
                const Instant silent = last_output_ + limits_.silence;
                next = next ? std::min(*next, silent) : silent;
            }
            return next;
        }
        case Stage::kTold:
            return stage_since_ + limits_.grace;
        case Stage::kKilled:
            return stage_since_ + limits_.kill_wait;
        case Stage::kGivenUp:
            break;
    }
    return std::nullopt;
}

language::ProcessEnd process_end(std::optional<int> wait_status, StopReason reason, const Limits& limits) {
    language::ProcessEnd end;
    end.kind = kind_of(reason);
    end.detail = detail_of(reason, limits);
    if (!wait_status) {
        end.detail += "; unkillable: still there " + seconds_text(limits.kill_wait) + " after SIGKILL";
        return end;
    }
    if (WIFSIGNALED(*wait_status)) {
        end.signal = WTERMSIG(*wait_status);
        end.core_dumped = WCOREDUMP(*wait_status);
        if (reason == StopReason::kNone) end.kind = language::EndKind::kSignalled;
    } else {
        end.exit_code = WEXITSTATUS(*wait_status);
        // It gave way to SIGTERM by itself; the record still says that a full disk stopped it.
        if (reason == StopReason::kDiskFull) end.kind = language::EndKind::kExited;
    }
    return end;
}

}  // namespace nsa::runner
