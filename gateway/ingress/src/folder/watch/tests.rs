//! Claims about folder watch, each a test.

use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use std::thread;

use super::*;

/// A watch on `manifests` in a folder of its own, waiting on a thread; each change is a message.
struct Setup {
    dir: TempDir,
    changes: mpsc::Receiver<()>,
}

fn start(prepare: impl FnOnce(&Path)) -> Setup {
    let dir = TempDir::new().unwrap();
    prepare(dir.path());
    let watch = Watch::start(&[dir.path().join("manifests")]).unwrap();
    wait_on(watch, dir)
}

fn wait_on(watch: Watch, dir: TempDir) -> Setup {
    let (sender, changes) = mpsc::channel();
    thread::spawn(move || {
        loop {
            watch.wait();
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    Setup { dir, changes }
}

fn plain(path: &Path) {
    fs::create_dir_all(path.join("manifests/sub")).unwrap();
    fs::write(path.join("manifests/a.yaml"), "# a").unwrap();
}

impl Setup {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    #[track_caller]
    fn changed(&self) {
        self.changes
            .recv_timeout(Duration::from_secs(5))
            .expect("no change was seen");
        // Until all is quiet again.
        while self
            .changes
            .recv_timeout(Duration::from_millis(150))
            .is_ok()
        {}
    }

    #[track_caller]
    fn quiet(&self) {
        assert!(
            self.changes
                .recv_timeout(Duration::from_millis(200))
                .is_err(),
            "a change was seen"
        );
    }
}

#[test]
fn writing_renaming_and_removing_files_is_seen() {
    let setup = start(plain);
    fs::write(setup.path("manifests/a.yaml"), "b").unwrap();
    setup.changed();
    // As editors write.
    fs::write(setup.path("manifests/.a.yaml.tmp"), "c").unwrap();
    fs::rename(
        setup.path("manifests/.a.yaml.tmp"),
        setup.path("manifests/a.yaml"),
    )
    .unwrap();
    setup.changed();
    fs::write(setup.path("manifests/sub/b.yaml"), "b").unwrap();
    setup.changed();
    fs::remove_file(setup.path("manifests/a.yaml")).unwrap();
    setup.changed();
}

#[test]
fn reading_is_no_change() {
    let setup = start(plain);
    fs::read(setup.path("manifests/a.yaml")).unwrap();
    fs::write(setup.path("beside"), "x").unwrap();
    setup.quiet();
}

#[test]
fn the_code_of_plugins_among_manifests_is_seen() {
    let setup = start(plain);
    for name in ["manifests/geo.wasm", "manifests/sub/geo.wasm"] {
        fs::write(setup.path(name), "1").unwrap();
        setup.changed();
        // As compilers write.
        fs::write(setup.path("manifests/.new"), "2").unwrap();
        fs::rename(setup.path("manifests/.new"), setup.path(name)).unwrap();
        setup.changed();
        fs::remove_file(setup.path(name)).unwrap();
        setup.changed();
    }
    fs::create_dir(setup.path("manifests/filters")).unwrap();
    setup.changed();
    fs::write(setup.path("manifests/filters/geo.wasm"), "1").unwrap();
    setup.changed();
}

#[test]
fn code_behind_a_link_is_seen() {
    let setup = start(|path| {
        plain(path);
        fs::create_dir(path.join("target")).unwrap();
        fs::write(path.join("target/geo.wasm"), "1").unwrap();
        symlink("../target/geo.wasm", path.join("manifests/geo.wasm")).unwrap();
    });
    fs::write(setup.path("target/geo.wasm"), "2").unwrap();
    setup.changed();
}

#[test]
fn another_folder_may_be_watched_too() {
    let dir = TempDir::new().unwrap();
    plain(dir.path());
    let mut folder = crate::Folder::open(vec![dir.path().join("manifests")]).unwrap();
    folder.watch_also(&dir.path().join("plugins"));
    let setup = wait_on(folder.watch().unwrap(), dir);
    fs::create_dir(setup.path("plugins")).unwrap();
    setup.changed();
    fs::write(setup.path("plugins/geo.wasm"), "1").unwrap();
    setup.changed();
    // It holds no manifests.
    fs::write(setup.path("plugins/x.yaml"), "- 1").unwrap();
    setup.changed();
    assert_eq!(
        folder.read(&mut crate::Objects::new(crate::fixture::inspect)),
        []
    );
}

#[test]
fn files_in_new_sub_folders_are_seen() {
    let setup = start(plain);
    fs::create_dir_all(setup.path("manifests/new/deep")).unwrap();
    setup.changed();
    fs::write(setup.path("manifests/new/deep/a.yaml"), "a").unwrap();
    setup.changed();
}

#[test]
fn a_folder_that_is_swapped_by_renames_is_seen() {
    let setup = start(plain);
    fs::create_dir_all(setup.path("next")).unwrap();
    fs::rename(setup.path("manifests"), setup.path("old")).unwrap();
    setup.changed();
    fs::rename(setup.path("next"), setup.path("manifests")).unwrap();
    setup.changed();
    fs::write(setup.path("manifests/a.yaml"), "b").unwrap();
    setup.changed();
    fs::write(setup.path("old/a.yaml"), "b").unwrap();
    setup.quiet();
}

#[test]
fn a_link_that_is_swapped_is_seen() {
    let setup = start(|path| {
        fs::create_dir_all(path.join("one")).unwrap();
        fs::create_dir_all(path.join("two")).unwrap();
        symlink("one", path.join("manifests")).unwrap();
    });
    symlink("two", setup.path("next")).unwrap();
    fs::rename(setup.path("next"), setup.path("manifests")).unwrap();
    setup.changed();
    fs::write(setup.path("two/a.yaml"), "a").unwrap();
    setup.changed();
}

#[test]
fn a_config_map_that_is_swapped_is_seen() {
    let setup = start(|path| {
        fs::create_dir_all(path.join("manifests/..1")).unwrap();
        fs::write(path.join("manifests/..1/a.yaml"), "1").unwrap();
        symlink("..1", path.join("manifests/..data")).unwrap();
        symlink("..data/a.yaml", path.join("manifests/a.yaml")).unwrap();
    });
    for n in 2..5 {
        let new = setup.path(&format!("manifests/..{n}"));
        fs::create_dir(&new).unwrap();
        fs::write(new.join("a.yaml"), "2").unwrap();
        symlink(format!("..{n}"), setup.path("manifests/..tmp")).unwrap();
        fs::rename(
            setup.path("manifests/..tmp"),
            setup.path("manifests/..data"),
        )
        .unwrap();
        fs::remove_dir_all(setup.path(&format!("manifests/..{}", n - 1))).unwrap();
        setup.changed();
        assert_eq!(
            fs::read_to_string(setup.path("manifests/a.yaml")).unwrap(),
            "2"
        );
    }
}

#[test]
fn a_file_behind_a_link_is_seen() {
    let setup = start(|path| {
        plain(path);
        fs::create_dir(path.join("elsewhere")).unwrap();
        fs::write(path.join("elsewhere/b"), "1").unwrap();
        symlink("../elsewhere/b", path.join("manifests/b.yaml")).unwrap();
    });
    fs::write(setup.path("elsewhere/b"), "2").unwrap();
    setup.changed();
    fs::write(setup.path("elsewhere/other"), "2").unwrap();
    setup.quiet();
}

#[test]
fn a_path_above_that_is_swapped_is_seen() {
    let setup = start(plain);
    let dir = setup.dir.path().to_owned();
    let deep = dir.join("x/y/manifests");
    fs::create_dir_all(&deep).unwrap();
    let watch = Watch::start(std::slice::from_ref(&deep)).unwrap();
    let (sender, changes) = mpsc::channel();
    thread::spawn(move || {
        loop {
            watch.wait();
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    let setup = Setup { changes, ..setup };
    fs::rename(dir.join("x"), dir.join("old")).unwrap();
    setup.changed();
    fs::create_dir(dir.join("x")).unwrap();
    setup.changed();
    fs::create_dir_all(&deep).unwrap();
    setup.changed();
    fs::write(deep.join("a.yaml"), "a").unwrap();
    setup.changed();
}
