//! Towers: whoever is asked claims for a payee that is away when its channel closes.
//!
//! ```text
//! payee   Evidence ─▶ seal ─▶ TowerPut ──────────▶ tower   Tower (core) ─▶ disk ─▶ TowerAnswer
//! chain   Closing ─────────────────────────────────▶ open ─▶ claim ─▶ the contract pays the payee
//! ```
//!
//! A tower needs no trust: it can only send `claim`, whose money goes to the channel's payee; an old
//! put claims less, never anything else; and any number of towers may hold the same. What it can read:
//! docs/adr/0018. Start reading at [`Tower`], then [`TowerPicker`], the payee's side.

mod appointment;
mod errand;
mod event;
mod keeper;
mod picker;
mod record;
mod seal;
mod service;
#[cfg(test)]
mod tests;
mod watch;

pub use appointment::{Appointment, Due, Key};
pub use event::{Change, Closing, Job, TowerEvent, TowerRules, TowerStep};
pub use keeper::Tower;
pub use picker::{Holding, PickerRules, TowerPicker};
pub use seal::{NONCE_BYTES, SealError, open, put};
pub use service::{TowerConfig, TowerNumbers, TowerService, TowerView};
