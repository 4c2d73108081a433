//! What claims take of gas, as measured on the contract.
//!
//! Sans-IO. A claim with one lock costs 47 900 + 52 · k gas, 17 100 more the first time a payee is credited; of
//! that, each further claim in the same transaction costs 23 000 + 52 · k (payments/tests/chain/gas.rs).

/// What a transaction with claims takes before the first of them.
pub const FIRST_GAS: u64 = 38_000;
/// What each claim takes beside its words.
pub const EACH_GAS: u64 = 24_000;
/// What each word takes.
pub const GAS_PER_WORD: u64 = 55;

/// The gas that a claim of so many words takes beside what its transaction takes anyway.
#[must_use]
pub const fn share_of(words: u32) -> u64 {
    EACH_GAS.saturating_add(GAS_PER_WORD.saturating_mul(words as u64))
}

/// The gas of one transaction with claims of so many words each.
#[must_use]
pub fn gas_of(words: &[u32]) -> u64 {
    let each = words.iter().map(|it| share_of(*it));
    each.fold(FIRST_GAS, u64::saturating_add)
}
