//! Measures what money costs: gas per call, CPU per word and per voucher, beside what peers publish.
//!
//! `cargo run --release -p warren-payments-tests --example figures` writes `docs/payments-figures.md` and `target/figures/money.json`.
//! Gas is exact and the same everywhere; CPU is this machine's, and without `--release` that of a build for
//! development.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code,
    reason = "a measurement that cannot go on stops; its world is the tests', and it uses part of it"
)]

#[path = "../chain/anvil.rs"]
mod anvil;
#[path = "../chain/bill.rs"]
mod bill;
#[path = "../chain/world.rs"]
mod world;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use warren_payments::{VerifiedVoucher, WordChain, WordMaster};
use warren_proto::{ChannelId, Preimage};

use crate::world::{Words, World, wei};

/// Best of so many, each of a few milliseconds: what disturbs a measurement only ever makes it longer, and between
/// so many there are some that nothing disturbs, on a busy machine too.
const ROUNDS: u32 = 200;

/// How to measure again what this build measures.
const HOW: &str = if cfg!(debug_assertions) {
    "cargo run -p warren-payments-tests --example figures"
} else {
    "cargo run --release -p warren-payments-tests --example figures"
};

/// Words of a tranche, as many as a lock has by default.
const UNITS: u32 = 256;

/// What somebody wants of the chain, which calls that takes here, and what it takes others: whose, which, gas.
struct Beside {
    wanted: &'static str,
    here: &'static [(u64, &'static str)],
    there: &'static [(&'static str, &'static str, u64)],
}

/// From raiden-contracts ce3d253 (`data/gas.json`), go-nitro 05d7229 (`gas-benchmarks/gasResults.json`) and hoprnet
/// 023f1a0 (`Channels.sol`, to which the first 21 000 of a transaction are added).
const BESIDE: [Beside; 5] = [
    Beside {
        wanted: "a channel, filled with tokens",
        here: &[(1, "open by transfer")],
        there: &[
            ("Raiden", "openChannelWithDeposit", 146_956),
            ("go-nitro", "deposit of the first side, ERC-20", 69_866),
        ],
    },
    Beside {
        wanted: "claim, and the channel goes on",
        here: &[(1, "claim with 256 words")],
        there: &[("HOPR", "redeem a ticket that won, about", 72_000)],
    },
    Beside {
        wanted: "close as both agreed, tokens paid out",
        here: &[(1, "close, both agreed"), (1, "withdraw")],
        there: &[
            ("Raiden", "cooperativeSettle", 112_270),
            ("go-nitro", "exit, ERC-20", 112_690),
        ],
    },
    Beside {
        wanted: "one closes, the other proves what it is owed, tokens paid out to both",
        here: &[
            (1, "start to close"),
            (1, "claim with 256 words"),
            (1, "finish a close"),
            (2, "withdraw"),
        ],
        there: &[
            (
                "Raiden",
                "close, update, settle, unlock of one lock",
                356_205,
            ),
            ("go-nitro", "sad exit, ETH", 195_172),
        ],
    },
    Beside {
        wanted: "a payment by one intermediary, all of it proved on chain, tokens paid out",
        here: &[(2, "claim with 256 words"), (2, "withdraw")],
        there: &[("go-nitro", "sad exit of a virtual channel, ETH", 470_327)],
    },
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
    let chain = WordChain::derive(&master, &id, 1, UNITS);
    let word = chain.word(100).unwrap().clone();
    let below = chain.word(99).unwrap().clone();
    let locks = [Words::new(1, UNITS, 1000).lock];
    let voucher = world.voucher(&params, wei(1), &locks);
    let raw: [u8; 32] = *word.expose();
    vec![
        time(
            "payer_tranche_us",
            "payer",
            "a tranche of 256 words",
            10,
            || {
                black_box(WordChain::derive(&master, &id, black_box(2), UNITS));
            },
        ),
        time(
            "payer_word_us",
            "payer",
            "a word: looked up, it was made with its tranche",
            20_000,
            || {
                black_box(chain.word(black_box(100)).unwrap().clone());
            },
        ),
        time(
            "payee_word_us",
            "payee",
            "a word: hashed once against the last one",
            2_000,
            || {
                let word = Preimage::from_bytes(black_box(raw));
                assert!(word.advance(1).expose() == below.expose());
            },
        ),
        time("payer_voucher_us", "payer", "a voucher signed", 10, || {
            black_box(world.voucher(&params, wei(1), black_box(&locks)));
        }),
        time("payee_voucher_us", "payee", "a voucher verified", 5, || {
            black_box(VerifiedVoucher::verify(voucher.clone(), &params, &world.pins).unwrap());
        }),
    ]
}

fn page(gas: &[bill::Line], cpu: &[Timed], release: bool) -> String {
    let mut text = format!(
        "# What money costs\n\n\
         Written by `{HOW}`; run it again to measure again.\n\n\
         ## Gas\n\
         Whole transactions, first 21 000 included, on the committed contract in the chain of this process (the EVM rules of Cancun), with\n\
         salts and amounts as long as real ones. `payments/tests/chain/gas.rs` fails if one moves by more than 3 %, or over its limit.\n\n\
         | call | gas | limit |\n|---|---:|---:|\n",
    );
    for it in gas {
        let limit = bill::LIMITS.iter().find(|(what, _)| *what == it.what);
        let limit = limit.map_or(String::new(), |(_, limit)| grouped(*limit));
        writeln!(text, "| {} | {} | {limit} |", it.what, grouped(it.gas)).unwrap();
    }
    text.push_str(
        "\n## Gas beside peers\n\
         What peers' own repositories say of theirs. Channels differ: Raiden's and Nitro's run both ways, HOPR's tickets are lots. Here a claim\n\
         or a close credits a pot, and one `withdraw` serves many of them; where others pay out at once, it is added.\n\n\
         | wanted | here | gas | there | gas |\n|---|---|---:|---|---:|\n",
    );
    for it in BESIDE {
        beside(&mut text, gas, &it);
    }
    text.push_str(
        "\nFrom: raiden-contracts ce3d253, `data/gas.json`; go-nitro 05d7229, `gas-benchmarks/gasResults.json`; hoprnet 023f1a0, `Channels.sol`\n\
         (51 000 of execution, as it says, and the first 21 000).\n",
    );
    let build = if release {
        "release build"
    } else {
        "development build, slower than a release"
    };
    write!(
        text,
        "\n## CPU\nBest of {ROUNDS} rounds on one core of the machine that wrote this page; {build}.\n\n\
         | side | what | µs |\n|---|---|---:|\n"
    )
    .unwrap();
    for it in cpu {
        writeln!(text, "| {} | {} | {:.2} |", it.side, it.what, it.micros).unwrap();
    }
    per_unit(&mut text, cpu);
    text
}

/// A row for each of the others, the first of which says what it takes here.
fn beside(text: &mut String, gas: &[bill::Line], it: &Beside) {
    let sum: u64 = it.here.iter().map(|(n, call)| n * used(gas, call)).sum();
    let calls = it.here.iter().map(|(n, call)| match n {
        1 => (*call).to_owned(),
        _ => format!("{n} × {call}"),
    });
    let calls: Vec<_> = calls.collect();
    let mut here = (it.wanted, calls.join(" + "), grouped(sum));
    for (who, what, there) in it.there {
        let (wanted, calls, sum) = std::mem::take(&mut here);
        let there = grouped(*there);
        writeln!(
            text,
            "| {wanted} | {calls} | {sum} | {who}: {what} | {there} |"
        )
        .unwrap();
    }
}

fn used(gas: &[bill::Line], call: &str) -> u64 {
    gas.iter().find(|it| it.what == call).expect(call).gas
}

/// What the figures above come to for one unit, and what they would come to for those who sign each payment.
fn per_unit(text: &mut String, cpu: &[Timed]) {
    let of = |name: &str| cpu.iter().find(|it| it.name == name).expect(name).micros;
    let share = |micros: f64| micros / f64::from(UNITS);
    let payer = share(of("payer_tranche_us") + of("payer_voucher_us")) + of("payer_word_us");
    let payee = share(of("payee_voucher_us")) + of("payee_word_us");
    let (sign, verify) = (of("payer_voucher_us"), of("payee_voucher_us"));
    write!(
        text,
        "\n## CPU beside peers, for each unit paid\n\
         A word pays a unit, by default the price of one MiB; a tranche of {UNITS} words takes one voucher. Peers (Raiden's balance proofs,\n\
         Nitro's vouchers, HOPR's tickets, Mysterium's promises) sign each payment, and check each signature. On this machine, with the\n\
         library that signs our vouchers, that is:\n\n\
         | side | words, with their share of tranche and voucher, µs | a signature for each, µs | times |\n|---|---:|---:|---:|\n\
         | payer | {payer:.2} | {sign:.2} | {:.0} |\n\
         | payee | {payee:.2} | {verify:.2} | {:.0} |\n\n\
         What else their payments take is not counted (HOPR's tickets a proof of randomness, Mysterium's a secret of the payee's for each).\n",
        sign / payer,
        verify / payee,
    )
    .unwrap();
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = page(&gas, &cpu, !cfg!(debug_assertions));
    print!("{page}");
    std::fs::write(root.join("docs/payments-figures.md"), page).unwrap();
    std::fs::create_dir_all(root.join("target/figures")).unwrap();
    let text = serde_json::to_string_pretty(&figures(&gas, &cpu)).unwrap();
    std::fs::write(root.join("target/figures/money.json"), text).unwrap();
}
