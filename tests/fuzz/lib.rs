//! The fuzz targets as a library of their own: the same functions that `replay.rs` calls, and beside them the
//! few files of overlay and daemon that are tried here and need neither libp2p nor RocksDB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a target that cannot go on has found something"
)]

#[allow(dead_code, reason = "the replay goes through the list of all")]
mod targets;

macro_rules! doors {
    ($($name:ident)*) => {
        $(
            /// The target of this name: see `targets.rs`.
            pub fn $name(bytes: &[u8]) {
                targets::$name(bytes);
            }
        )*
    };
}

doors! {
    frame offer terms records answers reverts datagrams packets super_packets schedules roads
    payer payee router tower transactions receipt heads
}

#[path = "../../overlay/src/offers/admission.rs"]
#[allow(dead_code, reason = "the overlay uses all of it")]
mod admission;
#[path = "../../node/daemon/src/store/chain.rs"]
#[allow(dead_code, reason = "the daemon uses all of it")]
mod heads;
#[path = "."]
#[allow(dead_code, reason = "the daemon uses all of it")]
mod receipts {
    #[path = "../../node/daemon/src/receipt/file.rs"]
    mod file;
    #[path = "../../node/daemon/src/receipt/verify.rs"]
    mod verify;

    pub(crate) use file::{from_text, to_text};
    pub(crate) use verify::verify;
}

/// What the daemon's files name of its errors.
mod error {
    use std::fmt::Display;

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum ErrorCode {
        ReceiptUnreadable,
        ReceiptConsumer,
        ReceiptProvider,
        ReceiptUnsigned,
        ReceiptVoucher,
        ReceiptWord,
        ReceiptAmount,
        ReceiptMeter,
        ReceiptTimes,
        ReceiptTerms,
        ReceiptTwice,
    }

    #[derive(Debug)]
    pub struct Problem;

    impl Problem {
        pub(crate) fn new(_: ErrorCode, seen: impl Display) -> Self {
            let _words = seen.to_string();
            Self
        }
    }
}
