//! What the node was told to be: file, environment, flags, and who said what.

mod token;

pub use token::{MAX_DECIMALS, ParseMoneyError, Token};
