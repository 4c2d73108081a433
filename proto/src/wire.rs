//! The door between bytes and words: sizes first, then lengths, then ranges.
//!
//! Generated structs never leave this module. Start at `decode_frame`.

mod frame;
mod offer;
mod parts;
mod receipt;
mod route;
mod terms;
mod tower;

pub(crate) use frame::{decode_frame, encode_frame};
pub(crate) use offer::{offer_bytes, read_signed_offer, signed_offer_bytes};
pub use parts::is_plain;
pub(crate) use receipt::{receipt_body_bytes, receipt_bytes, receipt_from_bytes};
pub(crate) use route::{
    decode_route_frame, encode_route_frame, hint_bytes, read_signed_hint, signed_hint_bytes,
};
pub(crate) use terms::{terms_bytes, terms_from_bytes};
pub(crate) use tower::{tower_claim_bytes, tower_claim_from_bytes};

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated from the schema"
)]
mod pb {
    include!(concat!(env!("OUT_DIR"), "/warren.v1.rs"));
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than its kind may be.
    #[error("message of {bytes} bytes; the limit is {limit}")]
    TooLong {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not protobuf of the schema.
    #[error("not a message of the schema: {detail}")]
    Malformed {
        /// What the decoder says.
        detail: String,
    },
    /// A field that must be there is not.
    #[error("field `{field}` is missing")]
    Missing {
        /// Its name in the schema.
        field: &'static str,
    },
    /// A field of fixed length has another.
    #[error("field `{field}` has {found} bytes")]
    Length {
        /// Its name in the schema.
        field: &'static str,
        /// Its length.
        found: usize,
    },
    /// A value out of its range.
    #[error("field `{field}` is out of range: {value}")]
    Range {
        /// Its name in the schema.
        field: &'static str,
        /// Its value or count.
        value: u64,
    },
    /// A text that is too long or has control characters.
    #[error("field `{field}` is not a short plain text")]
    Text {
        /// Its name in the schema.
        field: &'static str,
    },
}
