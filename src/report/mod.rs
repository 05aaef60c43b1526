//! Outcomes to bytes: the answer on the console, `summary.json` for programs, and the charts. Nothing here runs or judges anything.
//!
//! The same outcome gives the same bytes everywhere: fixed key order, no wall time, no machine name, and no float that a platform rounds
//! its own way.

pub mod charts;
pub mod console;
mod counters;
pub mod durability;
pub mod fidelity;
pub mod json;
mod page;
mod recovery;
pub mod seeds;
pub(crate) mod text;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod sample;

pub use text::shell_quote;

use crate::run::outcome::{Header, Outcome};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Why a report could not be written. None of its files is then left behind, and what was there before is there again.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("{path}: cannot make this folder for the report: {source}; name a folder that can be written with --out")]
    Folder { path: String, source: std::io::Error },
    #[error("{path}: cannot write this file of the report: {source}; free space or name another folder with --out")]
    Write { path: String, source: std::io::Error },
    #[error(
        "{path}: cannot put this file of the report in its place: {source}; move what is there away or name another folder with --out"
    )]
    Place { path: String, source: std::io::Error },
}

/// The command that repeats the run, exactly.
pub fn repeat_command(header: &Header) -> String {
    // A path that begins with a dash would be read as an option.
    let path = if header.path.starts_with('-') { format!("./{}", header.path) } else { header.path.clone() };
    let mut words = vec!["windtunnel run".to_owned(), shell_quote(&path)];
    words.extend(header.arguments.iter().cloned());
    words.join(" ")
}

/// Writes the whole report into `dir`, or nothing: `summary.json`, `answer.txt`, the charts, and the scenario as it was understood.
/// Returns the files in that order.
pub fn write_all(outcome: &Outcome, dir: &Path, resolved: &str) -> Result<Vec<PathBuf>, ReportError> {
    let mut resolved = resolved.to_owned();
    if !resolved.ends_with('\n') {
        resolved.push('\n');
    }
    let files = [
        ("summary.json", json::summary(outcome)),
        ("answer.txt", console::render(outcome, false)),
        ("delivery-latency.svg", charts::latency::delivery_latency(outcome)),
        ("ownership.svg", charts::gantt::ownership(outcome)),
        ("waterfall.svg", charts::waterfall::waterfall(outcome)),
        ("scenario.resolved.json", resolved),
    ];
    write_files(dir, &files)
}

/// Writes the durability matrix into `dir`, or nothing.
pub fn write_durability(dir: &Path, matrix: &crate::explore::durability::Matrix) -> Result<Vec<PathBuf>, ReportError> {
    let files = [
        ("durability.txt", durability::render(matrix)),
        ("durability.json", durability::json(matrix)),
        ("durability.svg", charts::durability::durability(matrix)),
    ];
    write_files(dir, &files)
}

/// All of these files, or none.
fn write_files(dir: &Path, files: &[(&'static str, String)]) -> Result<Vec<PathBuf>, ReportError> {
    fs::create_dir_all(dir).map_err(|source| ReportError::Folder { path: dir.display().to_string(), source })?;
    let mut placing = Placing { dir, written: Vec::new(), aside: Vec::new(), placed: Vec::new() };
    let done = files.iter().try_for_each(|(name, text)| placing.write(name, text)).and_then(|()| placing.place_all());
    if let Err(error) = done {
        placing.undo();
        return Err(error);
    }
    placing.forget_old();
    Ok(files.iter().map(|(name, _)| dir.join(name)).collect())
}

/// A report half way into its folder: everything is written beside its place first, so that what can fail has failed before
/// anything visible changes.
struct Placing<'a> {
    dir: &'a Path,
    written: Vec<&'static str>,
    aside: Vec<&'static str>,
    placed: Vec<&'static str>,
}

impl Placing<'_> {
    fn partial(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{name}.partial"))
    }

    fn old(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{name}.old"))
    }

    fn write(&mut self, name: &'static str, text: &str) -> Result<(), ReportError> {
        let path = self.partial(name);
        self.written.push(name);
        let file = fs::File::create(&path).and_then(|mut f| f.write_all(text.as_bytes()));
        file.map_err(|source| ReportError::Write { path: self.dir.join(name).display().to_string(), source })
    }

    fn place_all(&mut self) -> Result<(), ReportError> {
        for name in self.written.clone() {
            let target = self.dir.join(name);
            let failed = |source| ReportError::Place { path: target.display().to_string(), source };
            // A folder or a device of that name is somebody's, not an earlier report.
            match fs::symlink_metadata(&target) {
                Ok(there) if there.is_file() || there.is_symlink() => {
                    fs::rename(&target, self.old(name)).map_err(failed)?;
                    self.aside.push(name);
                }
                Ok(_) => return Err(failed(std::io::Error::other("something that is not a file has this name"))),
                Err(_) => {}
            }
            fs::rename(self.partial(name), &target).map_err(failed)?;
            self.placed.push(name);
        }
        Ok(())
    }

    /// Best effort: the error that led here is the one to report.
    fn undo(&self) {
        for name in &self.placed {
            _ = fs::remove_file(self.dir.join(name));
        }
        for name in &self.aside {
            _ = fs::rename(self.old(name), self.dir.join(name));
        }
        for name in &self.written {
            _ = fs::remove_file(self.partial(name));
        }
    }

    fn forget_old(&self) {
        for name in &self.aside {
            _ = fs::remove_file(self.old(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("windtunnel-report-{}-{name}", std::process::id()));
        _ = fs::remove_dir_all(&dir);
        dir
    }

    fn listing(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_report_is_written_whole_and_replaces_an_earlier_one() {
        let dir = folder("whole").join("deeper");
        let outcome = sample::broker_freeze();
        for _ in 0..2 {
            let files = write_all(&outcome, &dir, "{}").unwrap();
            assert_eq!(files.len(), 6);
            assert_eq!(
                listing(&dir),
                [
                    "answer.txt",
                    "delivery-latency.svg",
                    "ownership.svg",
                    "scenario.resolved.json",
                    "summary.json",
                    "waterfall.svg"
                ]
            );
            assert_eq!(fs::read_to_string(dir.join("answer.txt")).unwrap(), console::render(&outcome, false));
        }
        fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_report_that_fails_leaves_the_folder_as_it_was() {
        let dir = folder("nothing");
        fs::create_dir_all(dir.join("ownership.svg")).unwrap();
        fs::write(dir.join("summary.json"), "earlier").unwrap();
        let error = write_all(&sample::broker_freeze(), &dir, "{}").unwrap_err().to_string();
        assert!(error.contains("ownership.svg") && error.contains("--out"), "{error}");
        assert_eq!(listing(&dir), ["ownership.svg", "summary.json"]);
        assert_eq!(fs::read_to_string(dir.join("summary.json")).unwrap(), "earlier");

        let file = dir.join("summary.json");
        let error = write_all(&sample::broker_freeze(), &file, "{}").unwrap_err();
        assert!(matches!(error, ReportError::Folder { .. }), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_command_is_one_a_shell_takes() {
        let header = Header { path: "my files/a.json".into(), arguments: vec!["--seed 7".into()], ..Header::default() };
        assert_eq!(repeat_command(&header), "windtunnel run 'my files/a.json' --seed 7");
    }
}
