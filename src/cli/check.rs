//! `windtunnel check`: whether scenario files can be run, without running them.

use super::{Changes, CliError, Exit};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let mut exit = Exit::Pass;
    for path in &args.files {
        match super::load(path, &Changes::default()) {
            Ok(loaded) => {
                super::print(&format!("ok  {}\n", path.display()))?;
                for remark in crate::run::remarks::remarks(&loaded.spec) {
                    super::remark(&format!("warning: {}: {remark}", path.display()));
                }
            }
            Err(error) => {
                super::complain(&error.to_string());
                exit = Exit::Wrong;
            }
        }
    }
    Ok(exit)
}
