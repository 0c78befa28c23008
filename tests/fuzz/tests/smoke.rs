//! Every target without libFuzzer, as continuous integration runs it: on the whole corpus, then for some seconds on
//! what becomes of it at random. The same changes in the same order each time: what fails here, a change has broken.
//! Arguments are the names of targets; without any it is all of them.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::abort,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use fastrand::Rng;
use fuzz::TARGETS;

/// What a target is looking at, for the case that it panics.
static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn main() {
    // A panic in a task of the gateway would else only end that task.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        let file = std::env::temp_dir().join("portcullis-fuzz-input");
        let kept = fs::write(&file, &*input).map(|()| file);
        eprintln!("the input was {}; it is in {kept:?}", input.escape_ascii());
        abort();
    }));
    let names = |folder: &str| {
        files(folder)
            .iter()
            .filter_map(|path| stem(path))
            // What runs WebAssembly is not in this build.
            .filter(|name| name != "sandbox")
            .collect::<Vec<_>>()
    };
    let known: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), known, "each target is a program");
    assert_eq!(names("corpus"), known, "each target has a corpus");

    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|own| own == name);
    for (name, run) in TARGETS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let corpus: Vec<Vec<u8>> = files(&format!("corpus/{name}"))
            .iter()
            .map(|path| fs::read(path).expect("a seed"))
            .collect();
        assert!(!corpus.is_empty(), "{name} has no corpus");
        let try_on = |input: &[u8]| {
            input.clone_into(&mut INPUT.lock().unwrap_or_else(PoisonError::into_inner));
            run(input);
        };
        corpus.iter().for_each(|seed| try_on(seed));

        let (began, mut random, mut count) = (Instant::now(), Rng::with_seed(1), 0);
        while began.elapsed() < EACH {
            try_on(&changed(&corpus, &mut random));
            count += 1;
        }
        println!("{name}: {} seeds, {count} changed", corpus.len());
    }
}

/// A seed with some changes.
fn changed(corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let any = |random: &mut Rng| random.choice(corpus).expect("a corpus");
    let mut input = any(random).clone();
    for _ in 0..random.usize(1..5) {
        let from = random.usize(..=input.len());
        let to = (from + random.usize(..16)).min(input.len());
        match random.u8(..5) {
            // Another byte, one that parsers care for.
            0 => drop(input.splice(
                from..(from + 1).min(input.len()),
                random.choice(BYTES.iter().copied()),
            )),
            // Nothing.
            1 => drop(input.drain(from..to)),
            // The same again.
            2 => drop(input.splice(to..to, input[from..to].to_vec())),
            // A part of another seed, between or instead.
            kind => {
                let other = any(random);
                let start = random.usize(..=other.len());
                let end = (start + random.usize(..64)).min(other.len());
                let instead = if kind == 3 { from..from } else { from..to };
                drop(input.splice(instead, other[start..end].iter().copied()));
            }
        }
    }
    input
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.to_owned())
}

const BYTES: &[u8] = b"\0\t\n\r \"#%*+,-./0159:;<=>?@AZ[\\]af{|}~\x7f\x80\xff";
/// How long each target runs on changed seeds.
const EACH: Duration = Duration::from_secs(3);
