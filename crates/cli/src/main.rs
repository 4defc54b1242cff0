//! The `sanswarm` command: a libp2p node for the terminal and for scripts.

mod args;
mod crowd;
mod demo;
mod descriptors;
mod echo;
mod explain;
mod failure;
mod help;
mod identify;
mod interop;
mod json;
mod key;
mod keygen;
mod ladder;
mod listen;
mod metrics;
mod output;
mod pattern;
mod perf;
mod ping;
mod session;
mod sim;

use std::{ffi::OsString, process::ExitCode};

use args::{Options, Request, Verb};
use failure::Failure;

/// More threads than this do not make a few connections faster.
const THREADS_MAX: usize = 4;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let json = args::wants_json(&args);
    match args::parse(args).map_err(Failure::from).and_then(|request| run(&request)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::fail(&failure, json);
            ExitCode::from(failure.exit())
        }
    }
}

fn run(request: &Request) -> Result<(), Failure> {
    match request {
        Request::Help(verb) => output::line(help::text(*verb)),
        Request::Version => output::line(concat!("sanswarm ", env!("CARGO_PKG_VERSION"))),
        Request::Run(Verb::Keygen, options) => keygen::run(options),
        Request::Run(Verb::Sim, options) => sim::run(options),
        Request::Run(verb, options) => {
            if let Some(level) = options.log {
                output::log(level);
            }
            let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(threads).enable_all().build().map_err(Failure::Runtime)?;
            let result = runtime.block_on(work(*verb, options));
            // A name that is still being looked up is not waited for.
            runtime.shutdown_background();
            result
        }
    }
}

async fn work(verb: Verb, options: &Options) -> Result<(), Failure> {
    match verb {
        Verb::Crowd => crowd::run(options).await,
        Verb::Demo => demo::run(options).await,
        Verb::Listen => listen::run(options).await,
        Verb::Ping => ping::run(options).await,
        Verb::Echo => echo::run(options).await,
        Verb::Perf => perf::run(options).await,
        Verb::Identify => identify::run(options).await,
        Verb::Explain => explain::run(options).await,
        Verb::Interop => interop::run(options).await,
        Verb::Keygen => keygen::run(options),
        Verb::Sim => sim::run(options),
    }
}
