//! The text of manifest files.
//!
//! Reading and translating it never fails and always comes to the same; every problem says what to do, and names a
//! line that is there.

use std::sync::LazyLock;

use ingress::{CertificateFacts, Folder, Objects, Options, translate};
use tempfile::TempDir;

/// Any bytes: JSON if they begin so, else YAML.
pub fn run(data: &[u8]) {
    LazyLock::force(&PANICS);
    let name = if data.first() == Some(&b'{') {
        "all.json"
    } else {
        "all.yaml"
    };
    let file = FOLDER.path().join(name);
    std::fs::write(&file, data).expect("a file");
    let read = || {
        let mut objects = Objects::new(inspect);
        let mut folder = Folder::open(vec![file.clone()]).expect("a folder");
        let problems = folder.read(&mut objects);
        (problems, translate(&objects, &Options::default()))
    };
    let (problems, translated) = read();
    assert_eq!((&problems, &translated), (&read().0, &read().1));
    // To YAML, CR ends a line, too.
    let lines = 1 + data.iter().filter(|b| matches!(b, b'\n' | b'\r')).count();
    for problem in problems.iter().chain(&translated.1) {
        assert!(
            !problem.message.is_empty() && !problem.hint.is_empty(),
            "{problem:?}"
        );
        assert!(
            problem.line.is_none_or(|line| (1..=lines).contains(&line)),
            "{problem:?} of {lines} lines"
        );
    }
}

/// The YAML parser may panic: that is caught where it is called, and is a problem of the document.
static PANICS: LazyLock<()> = LazyLock::new(|| {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic
            .location()
            .is_some_and(|place| place.file().contains("saphyr-parser"))
        {
            report(panic);
        }
    }));
});

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fn inspect(chain: &[u8], _key: &[u8]) -> Result<CertificateFacts, String> {
    let names = vec![String::from_utf8_lossy(chain).into_owned()];
    Ok(CertificateFacts {
        names,
        not_after: 4_000_000_000,
        not_before: 0,
    })
}
