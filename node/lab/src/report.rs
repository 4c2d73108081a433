//! The run as one HTML file: numbers, and plots drawn into the page as SVG.

use std::fmt::Write as _;

use plotters::prelude::*;

use crate::run::LabError;
use crate::summary::Summary;
use crate::world::World;

const SIZE: (u32, u32) = (720, 300);
const BLUE: RGBColor = RGBColor(38, 98, 168);
const MIB: f64 = 1_048_576.0;

/// Writes the page.
pub(crate) fn page(world: &World, summary: &Summary) -> Result<String, LabError> {
    let seconds = |millis: &[u64]| {
        millis
            .iter()
            .map(|it| *it as f64 / 1000.0)
            .collect::<Vec<_>>()
    };
    let tally = &world.tally;
    let per_minute: Vec<_> = tally
        .per_minute
        .iter()
        .map(|(minute, bytes)| (*minute as f64, *bytes as f64 / MIB))
        .collect();
    let minutes = f64::from(world.scenario.time.minutes);
    let plots = [
        (
            "Delivered, MiB per virtual minute",
            line("delivered", &per_minute, minutes)?,
        ),
        (
            "From joining to the first offer, s (share of all nodes)",
            share(
                "first offer",
                &seconds(&tally.first_offer_millis),
                world.nodes.len() as u64,
            )?,
        ),
        (
            "From asking to traffic with a new channel, s (share of all that opened one)",
            share("cold", &seconds(&tally.cold_millis), tally.channels)?,
        ),
        (
            "From asking to traffic with a channel that stood, s (share of all that had one)",
            share("warm", &seconds(&tally.warm_millis), tally.warm_asked)?,
        ),
    ];
    let mut body = String::new();
    // Writing to a string cannot fail.
    for (title, svg) in plots {
        let _ = writeln!(
            body,
            "<figure><figcaption>{title}</figcaption>{svg}</figure>"
        );
    }
    let broken = summary.broken_bounds();
    let verdict = if broken.is_empty() {
        "<p class=ok>Every promise held: money conserved, losses within their stated bounds.</p>"
            .to_owned()
    } else {
        format!("<p class=bad>Broken: {}</p>", broken.join("; "))
    };
    Ok(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Swarm {name}, seed {seed}</title>\
         <style>{STYLE}</style><h1>{name}</h1>\
         <p>{nodes} nodes, {exits} of them exits; {time} virtual minutes; seed {seed}.</p>{verdict}\
         <table>{rows}</table>{body}\
         <p class=small>Event log SHA-256 {hash}. Same scenario, seed and version: same hash.</p></html>\n",
        name = escape(&summary.scenario),
        seed = summary.seed,
        nodes = summary.nodes,
        exits = summary.exits,
        time = summary.virtual_secs / 60,
        rows = rows(summary),
        hash = summary.event_log_hash,
    ))
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem;color:#1b2733}\
h1{font-size:1.5rem}table{border-collapse:collapse;width:100%}td{border-bottom:1px solid #e3e8ee;padding:.25rem .5rem}\
td+td{text-align:right;font-variant-numeric:tabular-nums}figure{margin:1.5rem 0}figcaption{font-weight:600}\
svg{width:100%;height:auto}.ok{color:#1c6b3a}.bad{color:#a11}.small{color:#6b7785;font-size:.8rem;word-break:break-all}";

fn rows(it: &Summary) -> String {
    let secs = |p: crate::Percentiles| {
        let s = |millis: u64| millis as f64 / 1000.0;
        format!(
            "{:.2} / {:.2} / {:.2} s ({})",
            s(p.p50),
            s(p.p95),
            s(p.max),
            p.count
        )
    };
    let facts = [
        (
            "consumers that found an offer",
            it.consumers_with_offers.to_string(),
        ),
        (
            "first offer after joining, p50 / p95 / max (n)",
            secs(it.first_offer_millis),
        ),
        ("traffic after asking, new channel", secs(it.up_cold_millis)),
        (
            "traffic after asking, channel stood",
            secs(it.up_warm_millis),
        ),
        (
            "sessions asked for / carried / completed",
            format!(
                "{} / {} / {}",
                it.sessions_started, it.sessions_active, it.sessions_completed
            ),
        ),
        (
            "channel used up first / failed; taken over by another exit",
            format!(
                "{} / {}; {}",
                it.sessions_used_up, it.sessions_failed, it.failovers
            ),
        ),
        ("exits crashed", it.crashes.to_string()),
        (
            "delivered",
            format!("{:.1} MiB", it.bytes_delivered as f64 / MIB),
        ),
        (
            "words paid; claims on chain; channels",
            format!("{}; {}; {}", it.words_paid, it.claims, it.channels),
        ),
        (
            "released by consumers, base units",
            it.released_wei.to_string(),
        ),
        ("claimed by exits, base units", it.claimed_wei.to_string()),
        (
            "most unpaid service in a session (bound), words",
            format!("{} ({})", it.most_unpaid_units, it.unpaid_bound_units),
        ),
        (
            "most unserved payment in a session (bound), words",
            format!("{} ({})", it.most_unserved_units, it.unserved_bound_units),
        ),
        (
            "offer messages; refused; forged and taken",
            format!(
                "{}; {}; {}",
                it.gossip_messages, it.refused_offers, it.forgeries_taken
            ),
        ),
    ];
    facts
        .iter()
        .map(|(name, value)| format!("<tr><td>{name}<td>{}", escape(value)))
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn line(name: &'static str, points: &[(f64, f64)], x_max: f64) -> Result<String, LabError> {
    let y_max = points.iter().map(|it| it.1).fold(1.0, f64::max) * 1.05;
    draw(name, x_max, y_max, points)
}

/// The share, of `all` that were asked for, of values at or below x: every value is seen, and what
/// never came to one is missing at the top.
fn share(name: &'static str, values: &[f64], all: u64) -> Result<String, LabError> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let points = shares(&sorted, all);
    let x_max = sorted.last().copied().unwrap_or(1.0).max(0.001) * 1.02;
    draw(name, x_max, 1.0, &points)
}

fn shares(sorted: &[f64], all: u64) -> Vec<(f64, f64)> {
    let count = (sorted.len() as u64).max(all).max(1) as f64;
    let ranked = sorted.iter().enumerate();
    ranked
        .map(|(at, value)| (*value, (at + 1) as f64 / count))
        .collect()
}

fn draw(
    name: &'static str,
    x_max: f64,
    y_max: f64,
    points: &[(f64, f64)],
) -> Result<String, LabError> {
    let failed = |detail: String| LabError::Plot { name, detail };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(28)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..x_max, 0.0..y_max)
            .map_err(|it| failed(it.to_string()))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 12))
            .draw()
            .map_err(|it| failed(it.to_string()))?;
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                BLUE.stroke_width(2),
            ))
            .map_err(|it| failed(it.to_string()))?;
        area.present().map_err(|it| failed(it.to_string()))?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn a_curve_ends_below_one_if_something_never_came() {
        assert_eq!(shares(&[1.0, 2.0], 4), [(1.0, 0.25), (2.0, 0.5)]);
        assert_eq!(shares(&[3.0], 1), [(3.0, 1.0)]);
        assert_eq!(shares(&[], 0), []);
    }
}
