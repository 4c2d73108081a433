//! One run from file to files: scenario in; `summary.json`, `events.csv`, `report.html` out.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::report;
use crate::scenario::{Scenario, ScenarioError};
use crate::summary::Summary;
use crate::world::{Progress, World};

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A country code of the scenario.
    #[error("market.countries has `{0}`, which is no ISO 3166-1 code of two letters")]
    Country(String),
    /// The chain of the lab refused what a core handed in: a fault of the program.
    #[error("the chain of the lab refused a transaction: {0}")]
    Chain(String),
    /// A core made a frame that does not decode: a fault of the program.
    #[error("a frame does not decode: {0}")]
    Frame(String),
    /// A core made a record that does not decode: a fault of the program.
    #[error("a record does not decode: {0}")]
    Record(String),
    /// A core made an offer that does not hold.
    #[error("an offer does not hold: {0}")]
    Offer(String),
    /// A plot could not be drawn.
    #[error("plot {name}: {detail}")]
    Plot {
        /// Which.
        name: &'static str,
        /// What the plotter said.
        detail: String,
    },
    /// A result cannot be written.
    #[error("cannot write {path}: {source}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct Artefacts {
    /// The outcome.
    pub summary: Summary,
    /// `summary.json`.
    pub summary_file: PathBuf,
    /// `events.csv`.
    pub events_file: PathBuf,
    /// `report.html`.
    pub report_file: PathBuf,
}

/// Runs `scenario` with `seed` and writes the results into the folder `out`, which is made first.
///
/// `events.csv` grows while the world runs; the other two are written at the end. Those of an
/// earlier run are removed before, so that no two runs stand side by side.
///
/// # Errors
/// [`LabError`]; then only `events.csv` is there, as far as it came.
pub fn run_scenario(
    scenario: &Scenario,
    seed: u64,
    out: &Path,
    tell: impl FnMut(Progress),
) -> Result<Artefacts, LabError> {
    scenario.check()?;
    let mut world = World::new(scenario, seed)?;
    let events_file = out.join("events.csv");
    world.log.write_to(empty(out, &events_file)?);
    world.run(tell)?;
    world.log.finish().map_err(unwritable(&events_file))?;
    let summary = Summary::of(&world, seed)?;
    let page = report::page(&world, &summary)?;
    // Writing a summary as JSON cannot fail: it has no map with odd keys.
    let json = serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n";
    let write = |name: &str, text: &str| {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(unwritable(&path))?;
        Ok::<_, LabError>(path)
    };
    Ok(Artefacts {
        summary_file: write("summary.json", &json)?,
        events_file,
        report_file: write("report.html", &page)?,
        summary,
    })
}

/// The folder without results, and its new log.
fn empty(out: &Path, events_file: &Path) -> Result<File, LabError> {
    std::fs::create_dir_all(out).map_err(unwritable(out))?;
    for name in ["summary.json", "report.html"] {
        let path = out.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(unwritable(&path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    File::create(events_file).map_err(unwritable(events_file))
}

fn unwritable(path: &Path) -> impl Fn(std::io::Error) -> LabError {
    move |source| LabError::Unwritable {
        path: path.to_owned(),
        source,
    }
}
