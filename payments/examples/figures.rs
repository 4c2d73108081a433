//! Measures what money costs: gas per call, CPU per word and per voucher, beside what peers publish.
//!
//! `cargo run --release --example figures` writes `docs/payments-figures.md` and `target/figures/money.json`.
//! Gas is exact and the same everywhere; CPU is this machine's, and without `--release` that of a build for
//! development.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code,
    reason = "a measurement that cannot go on stops; its world is the tests', and it uses part of it"
)]

#[path = "../tests/chain/anvil.rs"]
mod anvil;
#[path = "../tests/chain/bill.rs"]
mod bill;
#[path = "../tests/chain/world.rs"]
mod world;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use warren_payments::{VerifiedVoucher, WordChain, WordMaster};
use warren_proto::{ChannelId, Preimage};

use crate::world::{Words, World, wei};

/// Best of so many: what disturbs a measurement only ever makes it longer.
const ROUNDS: u32 = 7;

/// How to measure again what this build measures.
const HOW: &str = if cfg!(debug_assertions) {
    "cargo run --example figures"
} else {
    "cargo run --release --example figures"
};

/// What other projects say of theirs, in gas: who, what, how much, where.
const PEERS: [(&str, &str, u64, &str); 6] = [
    (
        "Raiden",
        "open and deposit",
        146_956,
        "raiden-contracts, gas.json",
    ),
    (
        "Raiden",
        "close, both agreed",
        112_270,
        "raiden-contracts, gas.json",
    ),
    (
        "Raiden",
        "claim of what locks hold (close, update, settle, unlock)",
        354_000,
        "raiden-contracts, gas.json, rounded",
    ),
    (
        "go-nitro",
        "exit with the last state",
        111_514,
        "go-nitro, gas benchmarks",
    ),
    (
        "go-nitro",
        "virtual channel, sad exit",
        470_520,
        "go-nitro, gas benchmarks",
    ),
    (
        "HOPR",
        "redeem a ticket, execution only",
        51_000,
        "hoprnet, Channels.sol, rounded",
    ),
];

struct Timed {
    name: &'static str,
    what: &'static str,
    side: &'static str,
    micros: f64,
    count: u32,
}

/// The shortest time of one `work` in microseconds.
fn time(
    name: &'static str,
    side: &'static str,
    what: &'static str,
    count: u32,
    mut work: impl FnMut(),
) -> Timed {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..count {
            work();
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    }
    Timed {
        name,
        what,
        side,
        micros: best,
        count: count * ROUNDS,
    }
}

fn cpu(world: &World) -> Vec<Timed> {
    let params = world.params(1);
    let master = WordMaster::from_bytes([7; 32]);
    let id = ChannelId::from_bytes([1; 32]);
    let chain = WordChain::derive(&master, &id, 1, 256);
    let word = chain.word(100).unwrap().clone();
    let below = chain.word(99).unwrap().clone();
    let locks = [Words::new(1, 256, 1000).lock];
    let voucher = world.voucher(&params, wei(1), &locks);
    let raw: [u8; 32] = *word.expose();
    vec![
        time(
            "payer_tranche_us",
            "payer",
            "a tranche of 256 words",
            200,
            || {
                black_box(WordChain::derive(&master, &id, black_box(2), 256));
            },
        ),
        time(
            "payer_word_us",
            "payer",
            "a word: looked up, it was made with its tranche",
            100_000,
            || {
                black_box(chain.word(black_box(100)).unwrap().clone());
            },
        ),
        time(
            "payee_word_us",
            "payee",
            "a word: hashed once against the last one",
            20_000,
            || {
                let word = Preimage::from_bytes(black_box(raw));
                assert!(word.advance(1).expose() == below.expose());
            },
        ),
        time("payer_voucher_us", "payer", "a voucher signed", 300, || {
            black_box(world.voucher(&params, wei(1), black_box(&locks)));
        }),
        time(
            "payee_voucher_us",
            "payee",
            "a voucher verified",
            300,
            || {
                black_box(VerifiedVoucher::verify(voucher.clone(), &params, &world.pins).unwrap());
            },
        ),
    ]
}

fn page(gas: &[bill::Line], cpu: &[Timed], release: bool) -> String {
    let mut text = format!(
        "# What money costs\n\n\
         Written by `{HOW}`; run it again to measure again.\n\n\
         ## Gas\n\
         Whole transactions, first 21 000 included, on the committed contract in the chain of this process (the EVM rules of Cancun), with\n\
         salts and amounts as long as real ones. `payments/tests/chain/gas.rs` fails if one moves by more than 3 %, or over its limit.\n\n\
         | call | gas |\n|---|---|\n",
    );
    for it in gas {
        writeln!(text, "| {} | {} |", it.what, grouped(it.gas)).unwrap();
    }
    text.push_str(
        "\n## Peers\n\
         As their projects publish them; their channels do other things too (Raiden's and Nitro's run both ways, HOPR's tickets are lots).\n\n\
         | project | what | gas | from |\n|---|---|---|---|\n",
    );
    for (who, what, gas, source) in PEERS {
        writeln!(text, "| {who} | {what} | {} | {source} |", grouped(gas)).unwrap();
    }
    let build = if release {
        "release build"
    } else {
        "development build, slower than a release"
    };
    write!(
        text,
        "\n## CPU\nBest of {ROUNDS} rounds on one core of the machine that wrote this page; {build}.\n\n\
         | side | what | µs |\n|---|---|---|\n"
    )
    .unwrap();
    for it in cpu {
        writeln!(text, "| {} | {} | {:.2} |", it.side, it.what, it.micros).unwrap();
    }
    text.push_str(
        "\nA word pays a unit, by default the price of one MiB; a voucher comes once per tranche. The same by signed vouchers alone would be a\n\
         signature and its check per unit.\n",
    );
    text
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    groups
        .iter()
        .map(|it| String::from_utf8_lossy(it))
        .collect::<Vec<_>>()
        .join(" ")
}

fn figures(gas: &[bill::Line], cpu: &[Timed]) -> serde_json::Value {
    let how = HOW;
    let mut figures = serde_json::Map::new();
    for it in gas {
        let name = format!("gas {}", it.what)
            .replace([',', '\''], "")
            .replace(' ', "_");
        figures.insert(
            name,
            serde_json::json!({"value": it.gas, "unit": "gas", "n": 1, "how": how}),
        );
    }
    for it in cpu {
        let value =
            serde_json::json!({"value": it.micros, "unit": "µs", "n": it.count, "how": how});
        figures.insert(it.name.to_owned(), value);
    }
    serde_json::json!({"schema": "warren.figures/v1", "figures": figures})
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let world = World::dev();
    let gas = bill::bill(&world).await;
    let cpu = cpu(&world);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = page(&gas, &cpu, !cfg!(debug_assertions));
    print!("{page}");
    std::fs::write(root.join("docs/payments-figures.md"), page).unwrap();
    std::fs::create_dir_all(root.join("target/figures")).unwrap();
    let text = serde_json::to_string_pretty(&figures(&gas, &cpu)).unwrap();
    std::fs::write(root.join("target/figures/money.json"), text).unwrap();
}
