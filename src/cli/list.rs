//! `windtunnel list`: which scenarios there are, and what each one asks.

use super::{CliError, Exit};
use crate::report::text::{Align, columns, natural_cmp};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that holds them
    #[arg(default_value = "scenarios")]
    dir: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, CliError> {
    let path = args.dir.display().to_string();
    let failed = |source| CliError::List { path: path.clone(), source };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&args.dir).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let name = file.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        if name.ends_with(".json") && !name.ends_with(".schema.json") && file.is_file() {
            files.push(file);
        }
    }
    files.sort_by(|a, b| natural_cmp(&a.to_string_lossy(), &b.to_string_lossy()));
    let mut exit = Exit::Pass;
    let mut rows = Vec::new();
    for file in &files {
        match question(file) {
            Ok(question) => rows.push(vec![file.display().to_string(), question]),
            Err(why) => {
                super::complain(&format!(
                    "{}: {why}; see: windtunnel check {}",
                    file.display(),
                    crate::report::shell_quote(&file.to_string_lossy())
                ));
                exit = Exit::Wrong;
            }
        }
    }
    if files.is_empty() {
        super::remark(&format!("{path}: holds no scenario files (*.json)"));
    }
    super::print(&columns("", &[Align::Left; 2], &rows).into_iter().map(|line| line + "\n").collect::<String>())?;
    Ok(exit)
}

/// The question of a scenario file, whether or not the rest of it can be run.
fn question(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("is not JSON: {e}"))?;
    let object = value.as_object().ok_or("is not a scenario: it holds no JSON object")?;
    let question = object.get("question").and_then(|q| q.as_str()).unwrap_or("(asks nothing)");
    Ok(question.split_whitespace().collect::<Vec<&str>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_and_slips_are_named() {
        let dir = std::env::temp_dir().join(format!("windtunnel-list-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("a.json");
        for (text, expected) in [
            (r#"{"question": "Who\n  waits?"}"#, Ok("Who waits?")),
            ("{}", Ok("(asks nothing)")),
            ("[]", Err("is not a scenario")),
            ("{", Err("is not JSON")),
        ] {
            std::fs::write(&file, text).unwrap();
            match (question(&file), expected) {
                (Ok(got), Ok(wanted)) => assert_eq!(got, wanted),
                (Err(got), Err(wanted)) => assert!(got.starts_with(wanted), "{got}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
