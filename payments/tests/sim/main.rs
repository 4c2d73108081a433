//! Money under every fault at once: the product's cores of channels, routes and towers, and its transaction
//! manager, each behind a shell that can die at any effect, over a chain that reorganises, nodes that lag and
//! lie, and a network that loses, doubles and swaps. Ten thousand seeded schedules, all effects of every
//! scripted flow, and shells that break one rule each and must be found out.
//!
//! `WARREN_SEED=… cargo nextest run --workspace --test sim -E 'test(one_seed)' --no-capture` replays a seed;
//! `WARREN_ROAD_SEED=…` and `test(one_road)` do for one of a route.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on should stop and say where"
)]

mod actor;
mod bytecode;
#[path = "life/lib.rs"]
mod life;
mod long;
mod market;
mod matrix;
mod node;
mod random;
mod road_matrix;
mod roads;
mod seeds;
mod shaky;
mod writes;
