// This machine as an instance: `nsa-worker serve` as a child, its stdio over pipes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <memory>

#include "engines/engine.hpp"

namespace nsa::engines {

// worker: the nsa-worker program of this build. open() gives the child its home by --home when the config
// names one. Closing the stream ends the `serve` child, never the runs: their supervisors have sessions of
// their own.
std::unique_ptr<Engine> make_local_engine(boost::asio::any_io_executor executor,
                                          std::filesystem::path worker);

}  // namespace nsa::engines
