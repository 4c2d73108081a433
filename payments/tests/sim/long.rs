//! A million schedules, as many processors as there are, and no work done twice: what is done stands in a
//! file, and the next start goes on from there. Run by `tests/long.sh money`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::life::check::Verdict;
use crate::{random, roads};

/// Seeds after those of every day.
const FIRST: u64 = 1_000_000;
/// Seeds between two writes of the file: what an interruption costs at most.
const STRIDE: u64 = 1_000;
/// Time between two lines of progress.
const LINE: Duration = Duration::from_secs(15);

/// What stands in the file: the next seed, the time spent so far, and on which build. What another build has
/// passed says nothing of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Done {
    next: u64,
    millis: u64,
    build: String,
}

impl Done {
    fn read(file: &Path, build: &str) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let words: Vec<_> = text.split_whitespace().collect();
        if let [next, millis, of] = words[..]
            && let (Ok(next), Ok(millis)) = (next.parse(), millis.parse())
        {
            if of == build {
                let build = of.to_owned();
                return Self {
                    next,
                    millis,
                    build,
                };
            }
            println!("schedules: what was done before was another build's; beginning anew");
        }
        Self {
            next: FIRST,
            millis: 0,
            build: build.to_owned(),
        }
    }

    fn write(&self, file: &Path) {
        let new = file.with_extension("new");
        let text = format!("{} {} {}\n", self.next, self.millis, self.build);
        fs::write(&new, text).unwrap();
        fs::rename(&new, file).unwrap();
    }

    fn count(&self) -> u64 {
        self.next - FIRST
    }

    /// How far it is, and how long it will still take at the pace so far.
    fn line(&self, wanted: u64) -> String {
        let (count, left) = (self.count(), wanted.saturating_sub(self.count()));
        let rest = u128::from(self.millis) * u128::from(left) / u128::from(count.max(1)) / 60_000;
        format!(
            "schedules: {count} of {wanted} in {} s; {rest} min left",
            self.millis / 1000
        )
    }
}

/// This program, which holds the product's code and the schedules'.
fn build() -> String {
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    hex::encode(&Sha256::digest(program)[..8])
}

fn target() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    fs::create_dir_all(folder.join("figures")).unwrap();
    folder
}

/// Four of ten are of routes, as every day.
fn try_seed(seed: u64) -> Verdict {
    if seed % 10 < 4 {
        roads::ROADS.try_seed(seed)
    } else {
        random::LIVES.try_seed(seed)
    }
}

/// Runs the seeds of one stride on all processors; the words of the first that fails.
fn stride(seeds: std::ops::Range<u64>) -> Option<String> {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(None));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Err(words) = try_seed(seed) {
                        *failed.lock().unwrap() = Some(words);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

/// `WARREN_SCHEDULES` says how many in all.
#[test]
#[ignore = "hours; tests/long.sh schedules runs it"]
fn a_million_schedules() {
    let wanted = std::env::var("WARREN_SCHEDULES").ok();
    let wanted: u64 = wanted.map_or(1_000_000, |it| it.parse().unwrap());
    let file = target().join("schedules.done");
    let mut done = Done::read(&file, &build());
    if done.next > FIRST {
        println!("going on: {}", done.line(wanted));
    }
    let mut told = Instant::now();
    while done.count() < wanted {
        let begun = Instant::now();
        let until = (done.next + STRIDE).min(FIRST + wanted);
        if let Some(words) = stride(done.next..until) {
            panic!("{words}");
        }
        done.millis += u64::try_from(begun.elapsed().as_millis()).unwrap();
        done.next = until;
        done.write(&file);
        if told.elapsed() >= LINE || done.count() >= wanted {
            told = Instant::now();
            println!("{}", done.line(wanted));
            std::io::stdout().flush().unwrap();
        }
    }
    let figures = target().join("figures/schedules.json");
    let how = "tests/long.sh money";
    let (value, seconds) = (done.count(), done.millis / 1000);
    let text = format!(
        "{{\"schema\":\"warren.figures/v1\",\"figures\":{{\"schedules\":{{\"value\":{value},\"unit\":\"schedules\",\
         \"n\":1,\"how\":\"{how}\"}},\"schedules_s\":{{\"value\":{seconds},\"unit\":\"s\",\"n\":1,\"how\":\"{how}\"}}}}}}\n"
    );
    fs::write(figures, text).unwrap();
}

#[test]
fn what_is_done_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedules.done");
    let nothing = |build: &str| Done {
        next: FIRST,
        millis: 0,
        build: build.to_owned(),
    };
    assert_eq!(Done::read(&file, "a"), nothing("a"));
    let done = Done {
        next: FIRST + 250_000,
        millis: 600_000,
        build: "a".to_owned(),
    };
    done.write(&file);
    assert_eq!(Done::read(&file, "a"), done);
    assert_eq!(
        done.line(1_000_000),
        "schedules: 250000 of 1000000 in 600 s; 30 min left"
    );
    // Another build has everything before it.
    assert_eq!(Done::read(&file, "b"), nothing("b"));
    fs::write(&file, "1250000 600").unwrap();
    assert_eq!(Done::read(&file, "a"), nothing("a"));
}
