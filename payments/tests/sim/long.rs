//! A million schedules, as many processors as there are, and no work done twice: what is done stands in a
//! file, and the next start goes on from there. Run by `tests/long.sh money`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::life::check::Verdict;
use crate::{random, roads};

/// Seeds after those of every day.
const FIRST: u64 = 1_000_000;
/// Seeds between two lines of progress and two writes of the file.
const STRIDE: u64 = 10_000;

/// What stands in the file: the next seed, and the seconds spent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Done {
    next: u64,
    millis: u64,
}

impl Done {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut numbers = text.split_whitespace().filter_map(|it| it.parse().ok());
        let (next, millis) = (numbers.next(), numbers.next());
        Self {
            next: next.unwrap_or(FIRST),
            millis: millis.unwrap_or(0),
        }
    }

    fn write(self, file: &Path) {
        let new = file.with_extension("new");
        let text = format!("{} {}\n", self.next, self.millis);
        fs::write(&new, text).unwrap();
        fs::rename(&new, file).unwrap();
    }
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
#[ignore = "hours; tests/long.sh money runs it"]
fn a_million_schedules() {
    let wanted = std::env::var("WARREN_SCHEDULES").ok();
    let wanted: u64 = wanted.map_or(1_000_000, |it| it.parse().unwrap());
    let file = target().join("schedules.done");
    let mut done = Done::read(&file);
    while done.next < FIRST + wanted {
        let begun = Instant::now();
        let until = (done.next + STRIDE).min(FIRST + wanted);
        if let Some(words) = stride(done.next..until) {
            panic!("{words}");
        }
        let millis = done.millis + u64::try_from(begun.elapsed().as_millis()).unwrap();
        done = Done {
            next: until,
            millis,
        };
        done.write(&file);
        let (count, seconds) = (done.next - FIRST, millis / 1000);
        println!("schedules: {count} of {wanted} in {seconds} s");
        std::io::stdout().flush().unwrap();
    }
    let figures = target().join("figures/schedules.json");
    let how = "tests/long.sh money";
    let (value, seconds) = (done.next - FIRST, done.millis / 1000);
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
    assert_eq!(
        Done::read(&file),
        Done {
            next: FIRST,
            millis: 0
        }
    );
    let done = Done {
        next: FIRST + 30_000,
        millis: 77,
    };
    done.write(&file);
    assert_eq!(Done::read(&file), done);
}
