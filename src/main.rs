//! The `windtunnel` command: everything is in [`windtunnel::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    windtunnel::cli::main()
}
