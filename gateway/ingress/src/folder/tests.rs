//! A folder of manifests, as it changes.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{
    Severity,
    fixture::{apply, ingress, inspect, lines, options, rule, service, the},
    translate,
};

/// A folder of manifests and what was read of it.
struct Setup {
    dir: TempDir,
    folder: Folder,
    objects: Objects,
}

fn setup(files: &[(&str, &str)]) -> Setup {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        write(&dir, name, text);
    }
    let folder = Folder::open(vec![dir.path().to_owned()]).unwrap();
    Setup {
        dir,
        folder,
        objects: Objects::new(inspect),
    }
}

fn write(dir: &TempDir, name: &str, text: &str) {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

impl Setup {
    fn write(&self, name: &str, text: &str) {
        write(&self.dir, name, text);
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    fn read(&mut self) -> Vec<Problem> {
        self.folder.read(&mut self.objects)
    }

    /// `host path` of all rules that are served.
    fn served(&self) -> Vec<String> {
        let (config, _) = translate(&self.objects, &options());
        config
            .rules
            .iter()
            .map(|r| format!("{} {}", r.host, r.path.as_str()))
            .collect()
    }
}

fn web(name: &str, path: &str) -> String {
    ingress(name, &rule(&format!("{name}.example"), path, "web"))
}

#[test]
fn all_manifests_of_all_sub_folders_are_read_but_those_with_a_dot() {
    let json = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}"#;
    let (a, b) = (web("a", "/"), web("b", "/"));
    let mut setup = setup(&[
        ("a.yaml", &a),
        ("sub/deep/b.yml", &b),
        ("sub/web.json", json),
        ("notes.txt", "a: [b"),
        (".hidden.yaml", "a: [b"),
        (".git/c.yaml", "a: [b"),
    ]);
    assert_eq!(lines(&setup.read()), [""; 0]);
    assert_eq!(setup.served(), ["a.example /", "b.example /"]);
    assert!(setup.objects.services.find("default", "web").is_some());
}

#[test]
fn changes_and_deletions_take_effect() {
    let (a, b) = (web("a", "/1"), web("b", "/"));
    let mut setup = setup(&[("a.yaml", &a), ("b.yaml", &b)]);
    setup.read();
    setup.write("a.yaml", &web("a", "/2"));
    setup.read();
    assert_eq!(setup.served(), ["a.example /2", "b.example /"]);
    setup.remove("b.yaml");
    setup.write("new/c.yaml", &web("c", "/"));
    setup.read();
    assert_eq!(setup.served(), ["a.example /2", "c.example /"]);
}

#[test]
fn a_change_of_the_same_size_in_the_same_moment_is_seen() {
    let mut setup = setup(&[("a.yaml", &web("a", "/0"))]);
    for n in 1..10 {
        setup.write("a.yaml", &web("a", &format!("/{n}")));
        setup.read();
        assert_eq!(setup.served(), [format!("a.example /{n}")]);
    }
}

#[test]
fn a_broken_document_keeps_what_it_held_and_leaves_the_others() {
    let mut setup = setup(&[("a.yaml", &(web("a", "/1") + &web("b", "/1")))]);
    setup.read();
    setup.write("a.yaml", &(web("a", "/2") + "---\nkind: [Ingress\n"));
    let problems = setup.read();
    assert_eq!(setup.served(), ["a.example /2", "b.example /1"]);
    assert!(
        problems[0]
            .message
            .ends_with("(the last good state goes on serving)"),
        "{problems:?}"
    );
    // Once it is well again, or gone, so is what it held.
    setup.write("a.yaml", &web("a", "/3"));
    assert_eq!(lines(&setup.read()), [""; 0]);
    assert_eq!(setup.served(), ["a.example /3"]);
}

#[test]
fn a_file_that_cannot_be_split_keeps_what_it_held() {
    let mut setup = setup(&[("a.yaml", &web("a", "/1"))]);
    setup.read();
    fs::write(setup.dir.path().join("a.yaml"), b"\xff\xfe").unwrap();
    let problems = setup.read();
    assert_eq!(setup.served(), ["a.example /1"]);
    the(
        &problems,
        "is not UTF-8 text (the last good state goes on serving)",
    );
}

#[test]
fn a_half_written_file_keeps_what_it_held() {
    let whole = web("a", "/1");
    let mut setup = setup(&[("a.yaml", &whole)]);
    setup.read();
    for end in (whole.find("- {path").unwrap()..whole.len() - 3).step_by(7) {
        let half = whole.get(..end).unwrap();
        setup.write("a.yaml", half);
        let problems = setup.read();
        assert_eq!(setup.served(), ["a.example /1"], "{half:?}");
        assert!(
            problems
                .iter()
                .any(|p| p.message.contains("last good state")),
            "{problems:?}"
        );
    }
}

#[test]
fn a_refused_object_keeps_its_previous_version_until_it_is_deleted() {
    let mut setup = setup(&[("a.yaml", &(web("a", "/1") + &web("b", "/1")))]);
    setup.read();
    setup.write("a.yaml", &(web("a", "no-slash") + &web("b", "/2")));
    let problems = setup.read();
    assert_eq!(setup.served(), ["a.example /1", "b.example /2"]);
    let problem = the(&problems, "does not begin with '/'");
    assert!(
        problem
            .message
            .ends_with("(the last good state goes on serving)")
    );
    // Again, although nothing changed.
    assert_eq!(setup.read(), problems);
    setup.write("a.yaml", &web("b", "/2"));
    setup.read();
    assert_eq!(setup.served(), ["b.example /2"]);
}

#[test]
fn an_object_that_was_never_good_is_not_served_and_nothing_is_said_of_a_last_state() {
    let mut setup = setup(&[("a.yaml", &web("a", "no-slash"))]);
    let problems = setup.read();
    assert_eq!(setup.served(), [""; 0]);
    assert!(!problems[0].message.contains("last good"), "{problems:?}");
}

#[test]
fn a_file_may_be_renamed_while_it_breaks() {
    let mut setup = setup(&[("a.yaml", &web("a", "/1"))]);
    setup.read();
    setup.remove("a.yaml");
    setup.write("b.yaml", &web("a", "no-slash"));
    setup.read();
    assert_eq!(setup.served(), ["a.example /1"]);
}

#[test]
fn of_one_object_in_two_files_the_first_counts() {
    let mut setup = setup(&[("a.yaml", &web("x", "/a")), ("b.yaml", &web("x", "/b"))]);
    let problems = setup.read();
    assert_eq!(setup.served(), ["x.example /a"]);
    assert_eq!(problems.len(), 1);
    assert_eq!(
        (problems[0].severity, problems[0].line),
        (Severity::Warning, Some(4))
    );
    assert!(
        problems[0].file.as_deref().unwrap().ends_with("/b.yaml"),
        "{problems:?}"
    );
    assert!(problems[0].message.contains("/a.yaml:2)"), "{problems:?}");
    setup.remove("a.yaml");
    assert_eq!(lines(&setup.read()), [""; 0]);
    assert_eq!(setup.served(), ["x.example /b"]);
}

#[test]
fn links_are_followed_and_circles_are_not() {
    let mut setup = setup(&[("real/a.yaml", &web("a", "/"))]);
    let path = setup.dir.path().to_owned();
    std::os::unix::fs::symlink("..", path.join("real/up")).unwrap();
    std::os::unix::fs::symlink("real", path.join("zwei")).unwrap();
    let elsewhere = TempDir::new().unwrap();
    write(&elsewhere, "b", &web("b", "/"));
    std::os::unix::fs::symlink(elsewhere.path().join("b"), path.join("b.yaml")).unwrap();
    std::os::unix::fs::symlink("nowhere", path.join("c.yaml")).unwrap();
    let problems = setup.read();
    assert_eq!(setup.served(), ["a.example /", "b.example /"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    the(&problems, "c.yaml:1: error: cannot be read");
}

#[test]
fn a_folder_that_vanishes_keeps_what_it_held() {
    let mut setup = setup(&[("sub/a.yaml", &web("a", "/"))]);
    setup.folder = Folder::open(vec![setup.dir.path().join("sub")]).unwrap();
    setup.read();
    fs::rename(setup.dir.path().join("sub"), setup.dir.path().join("old")).unwrap();
    let problems = setup.read();
    the(
        &problems,
        "cannot be read: No such file or directory (os error 2) (the last good state goes on serving)",
    );
    assert_eq!(setup.served(), ["a.example /"]);
    setup.write("sub/b.yaml", &web("b", "/"));
    setup.read();
    assert_eq!(setup.served(), ["b.example /"]);
}

#[test]
fn what_cannot_be_read_at_all_is_a_clear_error() {
    let error = Folder::open(vec!["/nowhere/at/all".into()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the manifests at /nowhere/at/all cannot be read: No such file or directory (os error 2); \
         name a folder or file that can"
    );
}

#[test]
fn a_file_that_is_named_may_have_any_name() {
    let dir = TempDir::new().unwrap();
    write(&dir, ".odd", &web("a", "/"));
    let mut folder = Folder::open(vec![dir.path().join(".odd")]).unwrap();
    let mut objects = Objects::new(inspect);
    assert_eq!(folder.read(&mut objects), []);
    assert_eq!(translate(&objects, &options()).0.rules.len(), 1);
}

#[test]
fn a_file_that_is_too_large_is_an_error() {
    let mut setup = setup(&[("a.yaml", &"#".repeat(17 << 20))]);
    the(&setup.read(), "larger than 16 MiB");
}

#[test]
fn many_files_are_read_as_few() {
    let mut setup = setup(&[]);
    let mut single = Objects::new(inspect);
    for n in 0..200 {
        let text = web(&format!("n{n}"), "/") + &service(&format!("s{n}"));
        setup.write(&format!("{n}.yaml"), &text);
        apply(&mut single, &text);
    }
    assert_eq!(lines(&setup.read()), [""; 0]);
    assert_eq!(
        translate(&setup.objects, &options()).0,
        translate(&single, &options()).0
    );
}

#[test]
fn of_one_object_twice_in_a_file_the_first_counts() {
    let mut setup = setup(&[("a.yaml", &(web("x", "/1") + &web("x", "/2")))]);
    let problems = setup.read();
    assert_eq!(setup.served(), ["x.example /1"]);
    assert_eq!(
        lines(&problems),
        ["warning x: Ingress default/x stands twice in this file; the first counts"]
    );
}

#[test]
fn a_refused_secret_leaves_the_one_before() {
    let good = crate::fixture::secret("s", "names: a.example");
    let tls = ingress(
        "a",
        "tls: [{hosts: [a.example], secretName: s}]\nrules: [{host: a.example}]",
    );
    let mut setup = setup(&[("a.yaml", &tls), ("s.yaml", &good)]);
    setup.read();
    let before = translate(&setup.objects, &options());
    assert_eq!(before.0.certificates.len(), 1);
    setup.write("s.yaml", &good.replace("tls.key", "other"));
    the(
        &setup.read(),
        "the Secret has no tls.key (the last good state goes on serving)",
    );
    assert_eq!(translate(&setup.objects, &options()), before);
    // Garbage is no reason for the API server to refuse it; the last good certificate stays.
    setup.write("s.yaml", &good.replace("names: ", "garbage "));
    setup.read();
    let (config, problems) = translate(&setup.objects, &options());
    assert_eq!(config, before.0);
    assert_eq!(problems.len(), 2);
    setup.remove("s.yaml");
    setup.read();
    let (config, problems) = translate(&setup.objects, &options());
    assert_eq!(config, before.0);
    the(
        &problems,
        "was deleted; its last good certificate goes on serving",
    );
}
