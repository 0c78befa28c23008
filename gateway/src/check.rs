//! `portcullis check`: reads manifests as the gateway would, and prints every problem.

use std::{fmt::Write, path::PathBuf, process::ExitCode, sync::Arc};

use ingress::{Folder, Mode, Problem, Severity};
use serde_json::json;

use crate::{
    FAILED,
    cli::{CheckFlags, Format, Mistakes, Reader},
    complain,
    filters::{Loader, Patience},
    publish, say,
};

/// `portcullis check PATH…`.
pub(crate) fn command(flags: CheckFlags) -> anyhow::Result<ExitCode> {
    let CheckFlags {
        paths,
        format,
        reading,
    } = flags;
    let mut reader = Reader::default();
    let options = reading.read(Mode::Check, &mut reader);
    for path in &paths {
        if let Err(error) = Folder::open(vec![path.clone()]) {
            reader.add(error.to_string());
        }
    }
    let options = reader.finish(options)?;
    let sandbox = reading.plugins.sandbox(&options.ceilings);
    let problems = problems(paths, &options, sandbox)?;
    match format {
        Format::Text => {
            print(&problems);
            complain(&summary(&problems));
        }
        Format::Json => say(&format!("{:#}", json!({ "problems": problems }))),
    }
    let bad = problems
        .iter()
        .any(|problem| problem.severity != Severity::Note);
    Ok(if bad {
        FAILED.into()
    } else {
        ExitCode::SUCCESS
    })
}

fn problems(
    paths: Vec<PathBuf>,
    options: &ingress::Options,
    sandbox: wasm::Settings,
) -> anyhow::Result<Vec<Problem>> {
    let mut folder = Folder::open(paths).map_err(|error| Mistakes::one(error.to_string()))?;
    let mut objects = publish::objects();
    let mut problems = folder.read(&mut objects);
    let (config, found) = ingress::translate(&objects, options);
    problems.extend(found);
    let mut loader = Loader::new(sandbox, Patience::Endless, Arc::new(|| {}));
    let findings = loader.prepare(&config).findings.into_iter();
    problems.extend(findings.map(|finding| finding.problem(&objects)));
    Ok(publish::ordered(problems))
}

fn print(problems: &[Problem]) {
    let mut lines = String::new();
    for problem in problems {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{problem}");
    }
    if let Some(lines) = lines.strip_suffix('\n') {
        say(lines);
    }
}

/// One line about all of them, for people.
fn summary(problems: &[Problem]) -> String {
    let count = |severity, word: &str| {
        let count = problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count();
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {word}{plural}")
    };
    let [errors, warnings, notes] = [
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
        count(Severity::Note, "note"),
    ];
    format!("{errors}, {warnings}, {notes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(severity: Severity) -> Problem {
        Problem {
            severity,
            kind: "Ingress".into(),
            namespace: "shop".into(),
            name: "web".into(),
            field: Some("spec.rules[0].host".into()),
            file: Some("web.yaml".into()),
            line: Some(7),
            message: "is wrong".into(),
            hint: "write it right".into(),
        }
    }

    #[test]
    fn a_problem_is_one_line() {
        assert_eq!(
            problem(Severity::Error).to_string(),
            "web.yaml:7: error: Ingress shop/web spec.rules[0].host: is wrong; write it right"
        );
    }

    #[test]
    fn problems_are_counted() {
        let problems = [
            problem(Severity::Error),
            problem(Severity::Note),
            problem(Severity::Note),
        ];
        assert_eq!(summary(&problems), "1 error, 0 warnings, 2 notes");
    }

    #[test]
    fn problems_come_in_the_order_of_their_lines_and_once() {
        let at = |line| Problem {
            line: Some(line),
            ..problem(Severity::Error)
        };
        let global = Problem {
            file: None,
            line: None,
            ..problem(Severity::Error)
        };
        let lines = publish::ordered(vec![global.clone(), at(9), at(2), at(9)]);
        assert_eq!(lines, [at(2), at(9), global]);
    }

    #[test]
    fn a_path_that_is_not_there_is_a_mistake_that_names_it() {
        let flags = |path: &str| CheckFlags {
            paths: vec![path.into()],
            format: Format::Text,
            reading: crate::cli::reading_defaults(),
        };
        let error = command(flags("/nowhere/at/all")).err().unwrap();
        assert!(error.downcast_ref::<Mistakes>().is_some(), "{error}");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
